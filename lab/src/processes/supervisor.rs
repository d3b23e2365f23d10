//! All child processes of a run. Whatever way the run ends, they end.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{join_all, pending, select_all};

use crate::error::LabError;
use crate::output::Output;
use crate::processes::Announcement;
use crate::processes::child::{Managed, Spec};

/// Far above what a service needs, so that it is only reached by one that hangs.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A process that has announced where it listens.
#[derive(Debug, Clone)]
pub struct Running {
    pub name: String,
    pub pid: u32,
    pub at: Announcement,
}

#[derive(Default)]
pub struct Supervisor {
    processes: Mutex<Vec<Managed>>,
}

impl Supervisor {
    /// Starts a process and returns once it listens. If it does not, it is killed and the error says why.
    pub async fn start(&self, spec: Spec, output: &Output) -> Result<Running, LabError> {
        self.start_within(spec, output, START_LIMIT).await
    }

    async fn start_within(
        &self,
        spec: Spec,
        output: &Output,
        limit: Duration,
    ) -> Result<Running, LabError> {
        let (process, stdout) = Managed::spawn(&spec, &output.log(&spec.name))?;
        // Registered before the first await: an interrupt while it starts must find it here.
        self.processes().push(process.clone());
        let at = process
            .listening(stdout, limit)
            .await
            .inspect_err(|_| process.kill())?;
        Ok(Running {
            name: spec.name,
            pid: process.pid,
            at,
        })
    }

    /// Does the work as long as every process lives. A dead process explains whatever else goes wrong, so it comes first.
    pub async fn guard<T>(
        &self,
        work: impl Future<Output = Result<T, LabError>>,
    ) -> Result<T, LabError> {
        tokio::select! {
            biased;
            death = self.unexpected_end() => Err(death),
            done = work => done,
        }
    }

    /// Resolves when a process ends that nobody asked to stop; never otherwise.
    pub async fn unexpected_end(&self) -> LabError {
        let watched: Vec<_> = self
            .processes()
            .iter()
            .filter(|p| !p.asked_to_stop())
            .cloned()
            .collect();
        if watched.is_empty() {
            return pending().await;
        }
        let ends = watched.iter().map(|process| process.ended().boxed());
        let (status, index, _) = select_all(ends).await;
        LabError::Died {
            process: watched[index].name.clone(),
            status,
            tail: watched[index].log_tail(),
        }
    }

    /// Asks every process to drain, waits until all are gone, kills those that do not go.
    pub async fn stop_all(&self) {
        self.end_all(Managed::stop).await;
    }

    /// Ends every process at once.
    pub async fn kill_all(&self) {
        self.end_all(Managed::kill).await;
    }

    async fn end_all(&self, end: fn(&Managed)) {
        let ended: Vec<_> = {
            let processes = self.processes();
            processes.iter().for_each(end);
            processes.iter().map(Managed::ended).collect()
        };
        join_all(ended).await;
        // Processes started meanwhile stay; the ended ones need no more looking after.
        self.processes().retain(|process| !process.asked_to_stop());
    }

    fn processes(&self) -> MutexGuard<'_, Vec<Managed>> {
        // The list is only pushed to and retained: it is whole even if a holder panicked.
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::child::alive;

    const LISTENING: &str =
        r#"echo '{"event":"listening","service":"sh","http":"127.0.0.1:1","ops":"127.0.0.1:2"}'; "#;

    /// A `sh` script as a child, and an output directory that goes with the test.
    struct Bench {
        supervisor: Supervisor,
        output: Output,
        root: std::path::PathBuf,
    }

    impl Bench {
        fn new(test: &str) -> Self {
            let root = std::env::temp_dir().join(format!("lab-{test}-{}", std::process::id()));
            Self {
                supervisor: Supervisor::default(),
                output: Output::prepare(root.clone()).unwrap(),
                root,
            }
        }

        async fn start(&self, script: &str, limit: Duration) -> Result<Running, LabError> {
            let spec = Spec {
                name: "child".into(),
                program: "sh".into(),
                args: vec!["-c".into(), script.into()],
            };
            self.supervisor
                .start_within(spec, &self.output, limit)
                .await
        }
    }

    impl Drop for Bench {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_child_that_listens_is_stopped_by_sigterm() {
        let bench = Bench::new("listens");
        let running = bench
            .start(&format!("{LISTENING} exec sleep 600"), LONG)
            .await
            .unwrap();
        assert_eq!(running.at.http.port(), 1);
        assert!(alive(running.pid));
        bench.supervisor.stop_all().await;
        assert!(!alive(running.pid));
    }

    #[tokio::test]
    async fn a_child_deaf_to_sigterm_can_be_killed() {
        let bench = Bench::new("deaf");
        let script = format!("trap '' TERM; {LISTENING} while :; do sleep 0.05; done");
        let running = bench.start(&script, LONG).await.unwrap();
        tokio::select! {
            () = bench.supervisor.stop_all() => panic!("it heard SIGTERM"),
            () = tokio::time::sleep(Duration::from_millis(300)) => {}
        }
        assert!(alive(running.pid));
        bench.supervisor.kill_all().await;
        assert!(!alive(running.pid));
    }

    #[tokio::test]
    async fn a_child_that_dies_at_once_shows_its_status_and_last_lines() {
        let bench = Bench::new("dies");
        let error = bench
            .start("echo 'cart-svc: cannot listen' >&2; exit 7", LONG)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit status: 7"), "{error}");
        assert!(error.contains("cart-svc: cannot listen"), "{error}");
    }

    #[tokio::test]
    async fn a_child_that_says_nothing_is_given_up_and_killed() {
        let bench = Bench::new("silent");
        let limit = Duration::from_millis(200);
        let error = bench
            .start("exec sleep 600", limit)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("within 200ms"), "{error}");
        bench.supervisor.kill_all().await;
        assert!(bench.supervisor.processes().is_empty());
    }

    #[tokio::test]
    async fn a_child_that_says_something_else_is_refused() {
        let bench = Bench::new("babbles");
        let error = bench
            .start("echo hello; exec sleep 600", LONG)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("hello"), "{error}");
        bench.supervisor.kill_all().await;
    }

    #[tokio::test]
    async fn a_death_nobody_asked_for_is_noticed_and_a_wanted_one_is_not() {
        let bench = Bench::new("death");
        // Would end by itself if its standard input were closed.
        bench
            .start(&format!("{LISTENING} read line; exit 3"), LONG)
            .await
            .unwrap();
        let running = bench
            .start(&format!("{LISTENING} exec sleep 600"), LONG)
            .await
            .unwrap();
        let pid = rustix::process::Pid::from_raw(i32::try_from(running.pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        let error = tokio::time::timeout(LONG, bench.supervisor.unexpected_end())
            .await
            .unwrap()
            .to_string();
        assert!(error.contains("signal: 9"), "{error}");
        bench.supervisor.stop_all().await;
        let quiet =
            tokio::time::timeout(Duration::from_millis(50), bench.supervisor.unexpected_end())
                .await;
        assert!(quiet.is_err());
    }
}
