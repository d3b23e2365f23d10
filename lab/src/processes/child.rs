//! One child process, from its command line to its end.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::{LabError, LogTail};
use crate::processes::Announcement;

/// How long a child may drain after SIGTERM before it is killed. Above the drain limit the services are started with.
const STOP_LIMIT: Duration = Duration::from_secs(10);

const TAIL_LINES: usize = 12;

/// Variables that would change a service behind the experiment's back: it is defined by its files and flags alone.
const SERVICE_VARIABLES: [&str; 4] = ["PRODUCT_SVC", "CART_SVC", "GATEWAY", "SIMULATE_FAILURE"];

/// What to start.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The process's name in logs and reports; unique within a run.
    pub name: String,
    pub program: PathBuf,
    pub args: Vec<OsString>,
}

/// A process that was spawned and may or may not be alive. Clones speak of the same process.
#[derive(Clone)]
pub struct Managed {
    pub name: String,
    pub pid: u32,
    log: PathBuf,
    stop: CancellationToken,
    kill: CancellationToken,
    ended: watch::Receiver<Option<String>>,
}

impl Managed {
    /// Spawns and hands the child to a task of its own, which is the only one to signal or reap it: a signal can then
    /// never reach a stranger that was given the same process id.
    pub fn spawn(spec: &Spec, log: &Path) -> Result<(Self, ChildStdout), LabError> {
        let failed = |source| LabError::Spawn {
            process: spec.name.clone(),
            source,
        };
        let mut command = Command::new(&spec.program);
        command
            .args(&spec.args)
            // The child drains when this pipe closes, which the kernel sees to even if the lab is killed with SIGKILL.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log).map_err(failed)?)
            // Ctrl-C goes to the whole foreground group; the lab alone decides when its children stop.
            .process_group(0)
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if SERVICE_VARIABLES
                .iter()
                .any(|prefix| name.to_string_lossy().starts_with(prefix))
            {
                command.env_remove(name);
            }
        }
        let mut child = command.spawn().map_err(failed)?;
        let pid = child.id().unwrap_or_default();
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| failed(std::io::Error::other("no standard output")))?;
        // Taken out of the child because waiting for it would close the pipe at once, and that means "stop".
        let stdin = child.stdin.take();
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let (report_end, ended) = watch::channel(None);
        tokio::spawn(look_after(
            child,
            stdin,
            stop.clone(),
            kill.clone(),
            report_end,
        ));
        Ok((
            Self {
                name: spec.name.clone(),
                pid,
                log: log.to_owned(),
                stop,
                kill,
                ended,
            },
            stdout,
        ))
    }

    /// Asks the process to drain and end.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends it now.
    pub fn kill(&self) {
        self.kill.cancel();
    }

    pub fn asked_to_stop(&self) -> bool {
        self.stop.is_cancelled() || self.kill.is_cancelled()
    }

    /// Waits until the process is gone and says how it ended.
    pub fn ended(&self) -> impl Future<Output = String> + Send + 'static {
        let mut ended = self.ended.clone();
        async move {
            match ended.wait_for(Option::is_some).await {
                Ok(status) => status.clone().unwrap_or_default(),
                Err(_) => "it is no longer looked after".to_owned(),
            }
        }
    }

    pub fn log_tail(&self) -> LogTail {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines: Vec<String> = text
            .lines()
            .rev()
            .take(TAIL_LINES)
            .map(str::to_owned)
            .collect();
        lines.reverse();
        LogTail {
            path: self.log.clone(),
            lines,
        }
    }

    /// Waits for the announcement, and no longer than `limit`.
    pub async fn listening(
        &self,
        stdout: ChildStdout,
        limit: Duration,
    ) -> Result<Announcement, LabError> {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let Ok(read) = tokio::time::timeout(limit, stdout.read_line(&mut line)).await else {
            return Err(LabError::SilentStart {
                process: self.name.clone(),
                limit,
                tail: self.log_tail(),
            });
        };
        if read.unwrap_or(0) == 0 {
            let status = match tokio::time::timeout(limit, self.ended()).await {
                Ok(status) => status,
                Err(_) => "still running, with its standard output closed".to_owned(),
            };
            return Err(LabError::EndedBeforeListening {
                process: self.name.clone(),
                status,
                tail: self.log_tail(),
            });
        }
        let announcement = Announcement::parse(&line).ok_or_else(|| LabError::Announcement {
            process: self.name.clone(),
            line: line.trim_end().chars().take(200).collect(),
        })?;
        // A child that blocked on a full pipe would look like a hang of the service.
        tokio::spawn(async move {
            let mut rest = [0; 1024];
            while stdout.read(&mut rest).await.is_ok_and(|n| n > 0) {}
        });
        Ok(announcement)
    }
}

async fn look_after(
    mut child: Child,
    _stdin: Option<ChildStdin>,
    stop: CancellationToken,
    kill: CancellationToken,
    ended: watch::Sender<Option<String>>,
) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = kill.cancelled() => finish_off(&mut child).await,
        () = stop.cancelled() => {
            terminate(&child);
            tokio::select! {
                status = child.wait() => status,
                () = kill.cancelled() => finish_off(&mut child).await,
                () = tokio::time::sleep(STOP_LIMIT) => finish_off(&mut child).await,
            }
        }
    };
    let _ = ended.send(Some(describe(status)));
}

fn terminate(child: &Child) {
    // `id` is `None` once the child has been reaped, so this cannot hit another process.
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = kill_process(pid, Signal::TERM);
    }
}

async fn finish_off(child: &mut Child) -> std::io::Result<ExitStatus> {
    let _ = child.start_kill();
    child.wait().await
}

fn describe(status: std::io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => format!("its exit status is unknown: {error}"),
    }
}

/// Whether the process exists. Children are reaped before their end is reported, so there is no zombie to mistake.
#[cfg(test)]
pub fn alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}
