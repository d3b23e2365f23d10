//! cart-svc as a process of its own, on ports that the system chose.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{DEADLINE, client::Client, directory::Directory};

/// The program, without the environment of the test.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cart-svc"));
    command.env_clear().args(args).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// A shipped configuration.
pub fn shipped(variant: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(format!("{variant}.toml"))
}

/// A running service; killed when dropped.
pub struct Service {
    child: Child,
    pub http: Client,
    pub ops: Client,
    pub address: String,
    log: PathBuf,
}

impl Service {
    /// Starts the variant's shipped configuration with what a test must change, and `settings` on top.
    pub fn start(
        variant: &str,
        directory: &Directory,
        product_url: &str,
        settings: &[&str],
    ) -> Service {
        let log = directory.next("stderr");
        let stderr = std::fs::File::create(&log).unwrap();
        let store = format!("store.path={}", directory.join("carts.db").display());
        let product = format!("product.url={product_url}");
        let mut own = vec![
            "listen=127.0.0.1:0",
            "ops.listen=127.0.0.1:0",
            &store,
            &product,
        ];
        own.extend(settings);

        let mut command = command(&["--stop-on-stdin-eof", "--config"]);
        command.arg(shipped(variant));
        for setting in own {
            command.args(["--set", setting]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();

        let announcement = first_line(&mut child, &log);
        let address = announcement["http"].as_str().unwrap().to_owned();
        Service {
            http: Client::new(&address),
            ops: Client::new(announcement["ops"].as_str().unwrap()),
            address,
            child,
            log,
        }
    }

    /// What it wrote to stderr.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Ends it without a chance to do anything.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let end = tokio::time::Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                tokio::time::Instant::now() < end,
                "the service does not end: {}",
                self.log()
            );
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The announcement on stdout. Reading blocks, so a thread does it, and the deadline holds whatever the service does.
fn first_line(child: &mut Child, log: &PathBuf) -> Value {
    let stdout = child.stdout.take().unwrap();
    let (line, announced) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let _ = BufReader::new(stdout).read_line(&mut text);
        let _ = line.send(text);
    });
    let text = announced.recv_timeout(DEADLINE).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_else(|_| {
        let _ = child.kill();
        panic!(
            "announced {text:?}; {}",
            std::fs::read_to_string(log).unwrap_or_default()
        )
    })
}
