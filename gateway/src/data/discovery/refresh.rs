//! The loop that every source runs in: ask, publish what is new, wait, ask again. Whatever goes wrong, the last good answer stays:
//! nobody can tell a name server that is broken from an upstream that is gone, and of the two mistakes, to keep asking endpoints
//! that are gone is the one that health checks repair.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Publish,
    endpoint::{DiscoveredEndpoint, normalise},
    metrics::Metrics,
    schedule::{Holds, Retry, after_failure, after_success},
    status::Status,
};

/// What an attempt found.
#[derive(Debug)]
pub(super) struct Found {
    /// All of it, in any order.
    pub endpoints: Vec<DiscoveredEndpoint>,
    /// How long it holds.
    pub holds: Holds,
    /// Whether the source was reached: otherwise all of this is from before.
    pub fresh: bool,
    /// Why it is not the whole: the rest is from before, or missing.
    pub incomplete: Option<Failure>,
}

/// Why an attempt found nothing, in words for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure(Arc<str>);

impl Failure {
    pub(super) fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string().into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that can be asked where endpoints are. It bounds the time of an attempt itself.
pub(super) trait Source: Send + 'static {
    /// One attempt.
    fn look(&mut self) -> impl Future<Output = Result<Found, Failure>> + Send;

    /// How failed ones are repeated.
    fn retry(&self) -> Retry;
}

/// A source being followed.
pub(super) struct Refresh<P> {
    pub upstream: Arc<str>,
    pub publish: P,
    pub status: watch::Sender<Status>,
    pub metrics: Metrics,
    pub published: Option<Vec<DiscoveredEndpoint>>,
}

impl<P: Publish> Refresh<P> {
    /// Goes on until told to stop, or until there is nothing to ask any more.
    pub(super) async fn run(mut self, mut source: impl Source, stop: CancellationToken) {
        loop {
            // A panic, in whatever parses what the network says, costs one attempt and not the upstream.
            let attempt = AssertUnwindSafe(source.look()).catch_unwind();
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = attempt => result.unwrap_or_else(|_| Err(Failure::new("the attempt panicked"))),
            };
            let Some(wait) = self.take(result, source.retry()) else {
                return;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Takes a result in; returns how long to wait.
    fn take(&mut self, result: Result<Found, Failure>, retry: Retry) -> Option<Duration> {
        let chance = fastrand::f64();
        match result {
            Err(failure) => Some(after_failure(retry, self.failed(failure), chance)),
            Ok(found) => {
                let refresh = after_success(found.holds, chance);
                self.found(found.endpoints, found.fresh.then_some(found.holds));
                match found.incomplete {
                    None => {
                        self.recovered();
                        refresh
                    }
                    Some(failure) => {
                        let again = after_failure(retry, self.failed(failure), chance);
                        Some(refresh.map_or(again, |refresh| refresh.min(again)))
                    }
                }
            }
        }
    }

    /// `fresh` is `None` for what is only from before.
    fn found(&mut self, endpoints: Vec<DiscoveredEndpoint>, fresh: Option<Holds>) {
        let (endpoints, left_out) = normalise(endpoints);
        let number = endpoints.len();
        self.metrics.found(number, left_out, fresh.is_some());
        if self.published.as_ref() != Some(&endpoints) {
            let (upstream, of) = (&self.upstream, self.of());
            tracing::info!(%upstream, %of, endpoints = number, left_out, "endpoints changed");
            self.publish.publish(endpoints.clone());
            self.published = Some(endpoints);
        }
        // After publishing: whoever waits for the first answer goes on at this.
        self.status.send_modify(|status| {
            status.endpoints = number;
            status.left_out = left_out;
            let Some(holds) = fresh else {
                return;
            };
            let now = Instant::now();
            status.succeeded += 1;
            status.last_success = Some(now);
            status.expires = match holds {
                Holds::Until(ttl) => now.checked_add(ttl),
                Holds::Polled(_) | Holds::ForEver => None,
            };
        });
    }

    fn recovered(&mut self) {
        let failures = self.status.borrow().failures_in_a_row;
        if failures > 0 {
            let (upstream, of) = (&self.upstream, self.of());
            tracing::info!(%upstream, %of, failures, "finding endpoints works again");
            self.status.send_modify(|status| {
                status.failures_in_a_row = 0;
                status.last_error = None;
            });
        }
    }

    /// Returns how many failures in a row this makes.
    fn failed(&mut self, failure: Failure) -> u32 {
        self.metrics.failed();
        let before = self.status.borrow().clone();
        // The same failure again is not news: it is counted.
        if before.last_error.as_deref() != Some(&*failure.0) {
            let (upstream, of, kept) = (&self.upstream, &before.of, before.endpoints);
            let age = before.age(Instant::now());
            tracing::warn!(%upstream, %of, error = %failure, kept, ?age, "cannot find all endpoints, the last known ones stay");
        }
        let failures = before.failures_in_a_row.saturating_add(1);
        self.status.send_modify(|status| {
            status.failed += 1;
            status.failures_in_a_row = failures;
            status.last_error = Some(failure.0);
        });
        failures
    }

    fn of(&self) -> Arc<str> {
        Arc::clone(&self.status.borrow().of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    use tokio::sync::mpsc;

    const TTL: Duration = Duration::from_secs(100);
    const RETRY: Retry = Retry {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(8),
    };

    /// Gives results in turn, then hangs; says when it was asked.
    struct Script {
        results: std::vec::IntoIter<Step>,
        asked: mpsc::UnboundedSender<Instant>,
    }
    enum Step {
        Found(&'static [u8]),
        Partly(&'static [u8]),
        Fails(&'static str),
        Panics,
        ForEver,
    }

    fn endpoints(last: &[u8]) -> Vec<DiscoveredEndpoint> {
        let endpoint = |last: &u8| DiscoveredEndpoint {
            host: "a".into(),
            port: 80,
            address: ([10, 0, 0, *last], 80).into(),
            https: false,
            weight: 1,
            zone: None,
        };
        last.iter().map(endpoint).collect()
    }

    impl Source for Script {
        async fn look(&mut self) -> Result<Found, Failure> {
            let Some(step) = self.results.next() else {
                return std::future::pending().await;
            };
            self.asked.send(Instant::now()).unwrap();
            let found = |last, holds, incomplete| Found {
                endpoints: endpoints(last),
                holds,
                fresh: true,
                incomplete,
            };
            match step {
                Step::Found(last) => Ok(found(last, Holds::Until(TTL), None)),
                Step::Partly(last) => {
                    let why = Some(Failure::new("half"));
                    Ok(found(last, Holds::Until(TTL), why))
                }
                Step::ForEver => Ok(found(&[1], Holds::ForEver, None)),
                Step::Fails(why) => Err(Failure::new(why)),
                Step::Panics => panic!("in the source"),
            }
        }
        fn retry(&self) -> Retry {
            RETRY
        }
    }

    type Published = Arc<Mutex<Vec<Vec<DiscoveredEndpoint>>>>;

    struct Run {
        published: Published,
        status: watch::Receiver<Status>,
        asked: mpsc::UnboundedReceiver<Instant>,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    fn run(steps: Vec<Step>) -> Run {
        let (sender, asked) = mpsc::unbounded_channel();
        let (status_sender, status) = watch::channel(Status::new("dns", "a".into()));
        let published = Published::default();
        let into = Arc::clone(&published);
        let upstream: Arc<str> = "shop".into();
        let refresh = Refresh {
            metrics: Metrics::new(&upstream, "dns"),
            upstream,
            publish: move |endpoints| into.lock().unwrap().push(endpoints),
            status: status_sender,
            published: None,
        };
        let source = Script {
            results: steps.into_iter(),
            asked: sender,
        };
        let stop = CancellationToken::new();
        Run {
            published,
            status,
            asked,
            task: tokio::spawn(refresh.run(source, stop.clone())),
            stop,
        }
    }

    impl Run {
        /// When each step was asked, in time since the first.
        async fn times(&mut self, steps: usize) -> Vec<Duration> {
            let mut times = Vec::new();
            for _ in 0..steps {
                times.push(self.asked.recv().await.unwrap());
            }
            tokio::task::yield_now().await;
            times.iter().map(|at| *at - times[0]).collect()
        }
        fn published(&self) -> Vec<Vec<DiscoveredEndpoint>> {
            self.published.lock().unwrap().clone()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_refreshed_before_it_expires_and_published_when_it_changed() {
        use Step::Found;
        let mut run = run(vec![Found(&[1, 2]), Found(&[2, 1]), Found(&[2, 3])]);
        let times = run.times(3).await;
        for (refresh, before) in times[1..].iter().zip(&times) {
            let after = *refresh - *before;
            assert!(
                (TTL.mul_f64(0.8)..=TTL.mul_f64(0.9)).contains(&after),
                "{after:?}"
            );
        }
        assert_eq!(run.published(), [endpoints(&[1, 2]), endpoints(&[2, 3])]);
        let status = run.status.borrow().clone();
        assert_eq!(
            (status.succeeded, status.failed, status.endpoints),
            (3, 0, 2)
        );
        assert_eq!(status.ttl_left(Instant::now()), Some(TTL));
        tokio::time::advance(TTL).await;
        assert_eq!(status.age(Instant::now()), Some(TTL));
        assert!(status.is_stale(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_keep_the_last_answer_and_are_repeated_ever_more_slowly() {
        use Step::{Fails, Found};
        let mut run = run(vec![
            Found(&[1]),
            Fails("x"),
            Fails("x"),
            Fails("y"),
            Found(&[1]),
        ]);
        let times = run.times(4).await;
        let first = times[2] - times[1];
        let second = times[3] - times[2];
        assert!(
            (RETRY.first / 2..=RETRY.first).contains(&first),
            "{first:?}"
        );
        assert!(
            (RETRY.first..=RETRY.first * 2).contains(&second),
            "{second:?}"
        );
        let status = run.status.borrow().clone();
        assert_eq!(
            (status.failures_in_a_row, status.last_error.as_deref()),
            (3, Some("y"))
        );
        assert!(status.age(Instant::now()).unwrap() > TTL.mul_f64(0.8));

        run.times(1).await;
        let status = run.status.borrow().clone();
        assert_eq!(
            (status.failures_in_a_row, status.failed, status.last_error),
            (0, 3, None)
        );
        assert_eq!(run.published(), [endpoints(&[1])]);
    }

    #[tokio::test(start_paused = true)]
    async fn half_an_answer_is_used_and_asked_for_again_soon() {
        let mut run = run(vec![Step::Partly(&[1]), Step::Partly(&[2])]);
        let times = run.times(2).await;
        assert!(times[1] <= RETRY.first);
        assert_eq!(run.published(), [endpoints(&[1]), endpoints(&[2])]);
        let status = run.status.borrow().clone();
        assert_eq!((status.succeeded, status.failures_in_a_row), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_panics_is_asked_again() {
        let mut run = run(vec![Step::Panics, Step::Found(&[1])]);
        run.times(2).await;
        assert_eq!(run.published(), [endpoints(&[1])]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_told_even_if_the_source_hangs_and_when_there_is_no_more_to_ask() {
        let hangs = run(vec![]);
        hangs.stop.cancel();
        hangs.task.await.unwrap();
        let waits = run(vec![Step::Found(&[1])]);
        tokio::task::yield_now().await;
        waits.stop.cancel();
        waits.task.await.unwrap();
        let done = run(vec![Step::ForEver]);
        done.task.await.unwrap();
        assert_eq!(done.published.lock().unwrap().len(), 1);
    }
}
