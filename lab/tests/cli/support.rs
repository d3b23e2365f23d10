//! Runs the real `lab` and watches the processes it starts.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Far above what anything here takes: only a hang reaches it.
pub const LIMIT: Duration = Duration::from_secs(90);

/// A directory that goes with the test.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lab-e2e-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn lab(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command
        .args(args)
        .stdin(Stdio::null())
        .env_remove("NO_COLOR");
    command
}

pub fn output_of(args: &[&str]) -> Output {
    lab(args).output().unwrap()
}

/// A lab under way, with the ids of the services it said it started.
pub struct Started {
    pub lab: Child,
    pub services: Vec<u32>,
    stderr: mpsc::Receiver<String>,
}

impl Started {
    /// Starts a smoke run of one experiment and returns once its load runs.
    pub fn smoke(experiment: &str, dir: &Dir) -> Self {
        let mut command = lab(&["--smoke", "--only", experiment, "--out"]);
        let mut lab = command
            .arg(&dir.0)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, stderr) = mpsc::channel();
        let pipe = BufReader::new(lab.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in pipe.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let mut started = Self {
            lab,
            services: Vec::new(),
            stderr,
        };
        let mut seen = String::new();
        loop {
            let line = started
                .stderr
                .recv_timeout(LIMIT)
                .unwrap_or_else(|_| panic!("no load was started:\n{seen}"));
            seen += &format!("{line}\n");
            if let Some((_, rest)) = line.split_once("(pid ") {
                let (pid, _) = rest.split_once(')').unwrap();
                started.services.push(pid.parse().unwrap());
            }
            if line.contains("phase 1 of") {
                assert_eq!(started.services.len(), 4, "{seen}");
                return started;
            }
        }
    }

    pub fn signal(&self, signal: Signal) {
        send_signal(self.lab.id(), signal);
    }

    /// Waits for the lab's end; gives its status and what it wrote to standard error meanwhile.
    pub fn end(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.lab.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the lab does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let said: Vec<String> = self.stderr.iter().collect();
        (status, said.join("\n"))
    }
}

pub fn send_signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Whether a process runs. One that has ended but was not reaped (orphans wait for init, which may take its time, or
/// never do it in a container) does not.
pub fn runs(pid: u32) -> bool {
    let mut stat = String::new();
    match std::fs::File::open(format!("/proc/{pid}/stat")) {
        Ok(mut file) => {
            let read = file.read_to_string(&mut stat);
            // pid (name) STATE ...; the name may contain anything, so the last parenthesis counts.
            let state = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.chars().next());
            read.is_ok() && !matches!(state, None | Some('Z' | 'X'))
        }
        Err(_) if cfg!(target_os = "linux") => false,
        Err(_) => {
            let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            rustix::process::test_kill_process(pid).is_ok()
        }
    }
}

/// Waits until none of them runs.
pub fn all_end(pids: &[u32]) {
    let deadline = Instant::now() + LIMIT;
    while pids.iter().any(|pid| runs(*pid)) {
        assert!(
            Instant::now() < deadline,
            "still running: {:?}",
            pids.iter().filter(|pid| runs(**pid))
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
