//! The service behind the proxies: answers every request at once, with as little work of its own as there can be, so that
//! it is never what is measured.
//!
//! `upstream LISTEN[,LISTEN..] [THREADS]`: `GET /` is answered with 270 bytes on the wire, head and body; `GET /bytes/N` with a
//! body of N bytes. Bodies of requests are read and thrown away.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use polling::{Event, Events, Poller};
use proxy_bench_tools::{content_length, head_end};

/// The whole answer to `GET /`.
const WIRE: usize = 270;
/// Keys from here on are listeners', those below connections'.
const LISTENERS: usize = 1 << 32;
/// Large bodies are made of this.
static FILL: [u8; 64 << 10] = [b'x'; 64 << 10];

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let addresses = arguments
        .next()
        .expect("usage: upstream LISTEN[,LISTEN..] [THREADS]");
    let threads: usize = arguments.next().map_or(1, |n| n.parse().expect("THREADS"));
    let listeners = addresses
        .split(',')
        .map(|address| {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        })
        .collect::<std::io::Result<Vec<_>>>()?;
    let small: Arc<[u8]> = small().into();
    let servers: Vec<_> = (0..threads)
        .map(|_| {
            let small = small.clone();
            let listeners = listeners.iter().map(TcpListener::try_clone);
            let listeners = listeners.collect::<std::io::Result<_>>();
            std::thread::spawn(move || Server::new(listeners?, small)?.run())
        })
        .collect();
    for server in servers {
        server.join().expect("a server does not panic")?;
    }
    Ok(())
}

fn head(length: usize) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nServer: upstream\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

fn small() -> Vec<u8> {
    // A length of three digits makes heads equally long, whichever it is.
    let length = WIRE - head(100).len();
    let mut answer = head(length).into_bytes();
    answer.resize(WIRE, b'x');
    answer
}

struct Server {
    listeners: Vec<TcpListener>,
    small: Arc<[u8]>,
    poller: Poller,
    connections: Vec<Option<Connection>>,
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// Of the request's body, what has not arrived.
    discard: usize,
    /// The body that the request under way asks for; 0 for the small answer.
    asked: usize,
    output: Vec<u8>,
    written: usize,
    /// Of the answer's body, what is not in `output`.
    fill: usize,
}

impl Server {
    #[allow(unsafe_code)]
    fn new(listeners: Vec<TcpListener>, small: Arc<[u8]>) -> std::io::Result<Self> {
        let poller = Poller::new()?;
        for (index, listener) in listeners.iter().enumerate() {
            // SAFETY: the listeners live as long as the poller does, in one struct.
            unsafe { poller.add(listener, Event::readable(LISTENERS + index))? };
        }
        Ok(Self {
            listeners,
            small,
            poller,
            connections: Vec::new(),
        })
    }

    fn run(mut self) -> std::io::Result<()> {
        let mut events = Events::new();
        loop {
            events.clear();
            self.poller
                .wait(&mut events, Some(Duration::from_secs(60)))?;
            for event in events.iter() {
                if event.key >= LISTENERS {
                    self.accept(event.key - LISTENERS)?;
                } else {
                    self.serve(event.key);
                }
            }
        }
    }

    #[allow(unsafe_code)]
    fn accept(&mut self, index: usize) -> std::io::Result<()> {
        while let Ok((stream, _)) = self.listeners[index].accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let free = self.connections.iter().position(Option::is_none);
            let place = free.unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let mode = polling::PollMode::Level;
            // SAFETY: `serve` deletes the stream from the poller before it is closed.
            unsafe {
                self.poller
                    .add_with_mode(&stream, Event::readable(place), mode)?;
            }
            self.connections[place] = Some(Connection::new(stream));
        }
        let again = Event::readable(LISTENERS + index);
        self.poller.modify(&self.listeners[index], again)
    }

    fn serve(&mut self, place: usize) {
        let Some(connection) = self.connections[place].as_mut() else {
            return;
        };
        let was_blocked = connection.is_writing();
        let outcome = connection.advance(&self.small);
        let is_blocked = connection.is_writing();
        let outcome = outcome.and_then(|()| {
            if was_blocked == is_blocked {
                return Ok(());
            }
            let interest = if is_blocked {
                Event::writable(place)
            } else {
                Event::readable(place)
            };
            self.poller
                .modify_with_mode(&connection.stream, interest, polling::PollMode::Level)
        });
        if outcome.is_err() {
            let _ = self.poller.delete(&connection.stream);
            self.connections[place] = None;
        }
    }
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            input: Vec::with_capacity(1024),
            discard: 0,
            asked: 0,
            output: Vec::new(),
            written: 0,
            fill: 0,
        }
    }

    fn is_writing(&self) -> bool {
        self.written < self.output.len() || self.fill > 0
    }

    /// Reads and answers until there is nothing to read or no room to write. An error is the end of the connection.
    fn advance(&mut self, small: &[u8]) -> std::io::Result<()> {
        self.write()?;
        let mut buffer = [0; 64 << 10];
        while !self.is_writing() {
            let read = match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.input_arrived(&buffer[..read], small);
            self.write()?;
            // A short read has emptied the socket: another would only say so.
            if read < buffer.len() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn input_arrived(&mut self, bytes: &[u8], small: &[u8]) {
        let body = bytes.len().min(self.discard);
        self.discard -= body;
        if body > 0 && self.discard == 0 {
            self.answer(small);
        }
        self.input.extend_from_slice(&bytes[body..]);
        while let Some(end) = head_end(&self.input) {
            let body = content_length(&self.input[..end]);
            self.asked = wanted(&self.input[..end]);
            let arrived = body.min(self.input.len() - end);
            self.input.drain(..end + arrived);
            self.discard = body - arrived;
            if self.discard > 0 {
                return;
            }
            self.answer(small);
        }
    }

    fn answer(&mut self, small: &[u8]) {
        if self.asked > 0 {
            self.output.extend_from_slice(head(self.asked).as_bytes());
            self.fill = self.asked;
        } else {
            self.output.extend_from_slice(small);
        }
    }

    fn write(&mut self) -> std::io::Result<()> {
        while self.is_writing() {
            let (bytes, is_fill) = if self.written < self.output.len() {
                (&self.output[self.written..], false)
            } else {
                (&FILL[..self.fill.min(FILL.len())], true)
            };
            let written = match self.stream.write(bytes) {
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            if is_fill {
                self.fill -= written;
            } else {
                self.written += written;
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }
}

/// The N of `GET /bytes/N`; 0 for every other path.
fn wanted(head: &[u8]) -> usize {
    let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let number = path.strip_prefix(b"/bytes/").unwrap_or_default();
    std::str::from_utf8(number)
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}
