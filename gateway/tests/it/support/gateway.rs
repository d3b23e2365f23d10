//! A gateway process.

use std::{net::SocketAddr, path::Path, process::Stdio};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
};

use super::poll::soon;

pub struct Gateway {
    pub http: SocketAddr,
    pub ops: SocketAddr,
    announcement: Value,
    child: Child,
    // The process ends itself when this end of its input is closed, however the test ends.
    _stdin: ChildStdin,
}

impl Gateway {
    /// Starts one on free ports; `set` are further keys, as after `--set`.
    pub async fn start(config: &Path, set: &[String]) -> Self {
        let mut command = command();
        command
            .arg("--config")
            .arg(config)
            .arg("--stop-on-stdin-eof");
        for setting in ["listen=127.0.0.1:0", "ops.listen=127.0.0.1:0"] {
            command.args(["--set", setting]);
        }
        for setting in set {
            command.args(["--set", setting]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = soon("the announcement", lines.next_line()).await.unwrap();
        let line = line.expect("the gateway ended before it was ready; its log is above");
        let announcement: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(announcement["event"], "listening");
        assert_eq!(announcement["service"], "gateway");
        let address = |key: &str| announcement[key].as_str().unwrap().parse().unwrap();
        Self {
            http: address("http"),
            ops: address("ops"),
            announcement: announcement.clone(),
            _stdin: child.stdin.take().unwrap(),
            child,
        }
    }

    /// The address of a further listener.
    pub fn listener(&self, name: &str) -> SocketAddr {
        let address = self.announcement["listeners"][name].as_str();
        address.expect("a listener of this name").parse().unwrap()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Asks it to stop, as an orchestrator does.
    pub async fn terminate(&self) {
        let id = self.id().to_string();
        let status = Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }

    /// The exit status, once it has ended.
    pub async fn ended(&mut self) -> Option<i32> {
        soon("the gateway to end", self.child.wait())
            .await
            .unwrap()
            .code()
    }
}

/// The gateway's program, with no settings from the environment of the tests.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GATEWAY__") {
            command.env_remove(name);
        }
    }
    command
}
