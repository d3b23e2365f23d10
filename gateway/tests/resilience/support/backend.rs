//! A backend, as the tests hold it: a process that can be killed, stopped, told and asked.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::Stdio,
    sync::atomic::{AtomicU16, Ordering},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{
    backend_process::{Arrival, LISTEN, MODE, Mode},
    poll::soon,
};

pub struct Backend {
    pub address: SocketAddr,
    process: Option<Process>,
    // Of processes that have been killed.
    before: Vec<Arrival>,
}

struct Process {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

/// A loopback address of its own, so that nobody takes its port while it is dead.
fn own_address() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let process = std::process::id().to_be_bytes();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(number < 250, "so many backends have not been thought of");
    IpAddr::V4(Ipv4Addr::new(
        127,
        1 + process[2] % 250,
        process[3],
        number as u8,
    ))
}

impl Backend {
    pub async fn start() -> Self {
        Self::on(0).await
    }

    /// One on a given port of an address of its own.
    pub async fn on(port: u16) -> Self {
        let (process, address) =
            Process::start(SocketAddr::new(own_address(), port), Mode::Well).await;
        Self {
            address,
            process: Some(process),
            before: Vec::new(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it has been killed")
    }

    pub async fn behave(&mut self, mode: Mode) {
        let mode = serde_json::to_string(&mode).unwrap();
        let done = self.process().ask(&format!("mode {mode}")).await;
        assert_eq!(done, "done");
    }

    /// Everything that has arrived so far.
    pub async fn arrivals(&mut self) -> Vec<Arrival> {
        let mut all = self.before.clone();
        if let Some(process) = &mut self.process {
            let line = process.ask("arrivals").await;
            all.extend(serde_json::from_str::<Vec<Arrival>>(&line).unwrap());
        }
        all
    }

    pub async fn count(&mut self) -> usize {
        self.arrivals().await.len()
    }

    /// Without any warning.
    pub async fn kill(&mut self) {
        self.before = self.arrivals().await;
        let mut process = self.process.take().unwrap();
        process.child.kill().await.unwrap();
    }

    /// At the address it had.
    pub async fn revive(&mut self) {
        self.revive_as(Mode::Well).await;
    }

    pub async fn revive_as(&mut self, mode: Mode) {
        let (process, _) = Process::start(self.address, mode).await;
        self.process = Some(process);
    }

    /// Its connections stay, and the kernel takes new ones, but nothing happens on them.
    pub async fn stop(&mut self) {
        self.process().signal("-STOP").await;
    }

    pub async fn go_on(&mut self) {
        self.process().signal("-CONT").await;
    }
}

impl Process {
    async fn start(listen: SocketAddr, mode: Mode) -> (Self, SocketAddr) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("support::backend_process::process")
            .env(LISTEN, listen.to_string())
            .env(MODE, serde_json::to_string(&mode).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut process = Self {
            stdin: child.stdin.take().unwrap(),
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        };
        let address = process.line().await.parse().unwrap();
        (process, address)
    }

    async fn line(&mut self) -> String {
        let line = async {
            loop {
                let line = self.lines.next_line().await.unwrap();
                let line = line.expect("the backend has ended");
                if let Some(line) = line.strip_prefix('@') {
                    return line.to_owned();
                }
            }
        };
        soon("a backend's word", line).await
    }

    async fn ask(&mut self, what: &str) -> String {
        self.stdin
            .write_all(format!("{what}\n").as_bytes())
            .await
            .unwrap();
        self.line().await
    }

    async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await;
        assert!(sent.unwrap().success());
    }
}
