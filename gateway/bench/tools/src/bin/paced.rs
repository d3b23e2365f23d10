//! A load generator that keeps to a rate, as wrk2 does: a request's latency is counted from when it should have been sent,
//! so that a proxy that stalls is charged for everybody who had to wait, not only for the one request under way.
//!
//! `paced HOST:PORT RATE CONNECTIONS WARM_UP_SECONDS SECONDS` prints one line of JSON: how many requests were sent, how many
//! answered and failed, and percentiles of the latency in milliseconds. Time-outs, resets and answers other than 2xx are failures.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use polling::{Event, Events, PollMode, Poller};
use proxy_bench_tools::{content_length, head_end};

/// How long answers are waited for after the last request.
const PATIENCE: Duration = Duration::from_secs(5);

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// When the request under way should have been sent; `None` when there is none.
    due: Option<Instant>,
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, rate, connections, warm_up, seconds] = &arguments[..] else {
        eprintln!("usage: paced HOST:PORT RATE CONNECTIONS WARM_UP_SECONDS SECONDS");
        std::process::exit(2);
    };
    let run = Run {
        rate: parsed("RATE", rate),
        warm_up: seconds_of("WARM_UP_SECONDS", warm_up),
        measured: seconds_of("SECONDS", seconds),
        request: format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes(),
    };
    let count: usize = parsed("CONNECTIONS", connections);
    let connections = (0..count)
        .map(|_| Connection::open(address))
        .collect::<Result<Vec<_>, _>>()?;
    let tally = run.generate(connections)?;
    tally.print();
    Ok(())
}

fn parsed<T: std::str::FromStr>(name: &str, text: &str) -> T {
    text.parse().unwrap_or_else(|_| wrong(name, text))
}

fn seconds_of(name: &str, text: &str) -> Duration {
    Duration::try_from_secs_f64(parsed(name, text)).unwrap_or_else(|_| wrong(name, text))
}

fn wrong(name: &str, text: &str) -> ! {
    eprintln!("paced: {name} must be a number that is not negative, not {text:?}");
    std::process::exit(2);
}

struct Run {
    rate: f64,
    warm_up: Duration,
    measured: Duration,
    request: Vec<u8>,
}

struct Tally {
    latency: Histogram<u64>,
    sent: u64,
    failed: u64,
}

impl Connection {
    fn open(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            input: Vec::with_capacity(1024),
            due: None,
        })
    }

    /// Whether the answer is complete, and if so, whether it is good.
    fn receive(&mut self) -> std::io::Result<Option<bool>> {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => self.input.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        let Some(end) = head_end(&self.input) else {
            return Ok(None);
        };
        if self.input.len() < end + content_length(&self.input[..end]) {
            return Ok(None);
        }
        let is_good = self.input.get(9) == Some(&b'2');
        self.input.clear();
        Ok(Some(is_good))
    }
}

impl Run {
    #[allow(unsafe_code)]
    fn generate(&self, mut connections: Vec<Connection>) -> std::io::Result<Tally> {
        let poller = Poller::new()?;
        for (key, connection) in connections.iter().enumerate() {
            // SAFETY: the connections outlive the poller's last use, at the end of this function.
            unsafe {
                poller.add_with_mode(&connection.stream, Event::readable(key), PollMode::Level)?;
            }
        }
        let mut idle: VecDeque<usize> = (0..connections.len()).collect();
        let mut tally = Tally::new();
        let mut events = Events::new();
        let start = Instant::now();
        let measured_from = start + self.warm_up;
        let total = ((self.warm_up + self.measured).as_secs_f64() * self.rate) as u64;
        let (mut sent, mut done) = (0, 0);
        let end = start + self.warm_up + self.measured + PATIENCE;
        while done < total && Instant::now() < end {
            let due = start + Duration::from_secs_f64(sent as f64 / self.rate);
            let mut wait = end.saturating_duration_since(Instant::now());
            if sent < total && !idle.is_empty() {
                wait = due.saturating_duration_since(Instant::now());
                if wait.is_zero() {
                    let key = idle.pop_front().expect("checked above");
                    sent += 1;
                    tally.sent += u64::from(due >= measured_from);
                    connections[key].due = Some(due);
                    if connections[key].stream.write_all(&self.request).is_err() {
                        done += 1;
                        tally.failed += 1;
                        continue;
                    }
                    // Answers are looked for even while requests are late.
                }
            }
            events.clear();
            poller.wait(&mut events, Some(wait))?;
            for event in events.iter() {
                let connection = &mut connections[event.key];
                let outcome = connection.receive();
                if let Ok(None) = outcome {
                    continue;
                }
                if outcome.is_err() {
                    // It is not opened again: what comes after is late, and shows.
                    poller.delete(&connection.stream)?;
                } else {
                    idle.push_back(event.key);
                }
                if let Some(due) = connection.due.take() {
                    done += 1;
                    let latency = (due >= measured_from).then(|| due.elapsed());
                    tally.finish(latency, matches!(outcome, Ok(Some(true))));
                }
            }
        }
        // What was never sent, or never answered.
        tally.failed += total - done;
        Ok(tally)
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            latency: Histogram::new(3).expect("3 digits are allowed"),
            sent: 0,
            failed: 0,
        }
    }

    fn finish(&mut self, latency: Option<Duration>, is_good: bool) {
        self.failed += u64::from(!is_good);
        if let Some(latency) = latency {
            let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
            // It grows as needed; what does not fit even then is no latency.
            self.failed += u64::from(self.latency.record(nanos).is_err());
        }
    }

    fn print(&self) {
        let milliseconds = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1e6;
        println!(
            "{{\"sent\": {}, \"answered\": {}, \"failed\": {}, \"p50_ms\": {:.3}, \"p90_ms\": {:.3}, \"p99_ms\": {:.3}, \
             \"p999_ms\": {:.3}, \"max_ms\": {:.3}}}",
            self.sent,
            self.latency.len(),
            self.failed,
            milliseconds(0.5),
            milliseconds(0.9),
            milliseconds(0.99),
            milliseconds(0.999),
            self.latency.max() as f64 / 1e6,
        );
    }
}
