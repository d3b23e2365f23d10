use std::{
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStderr, ChildStdout, Command},
    task::JoinHandle,
};

use super::{Reply, Request, in_time};

/// A running product-svc on free ports; killed when dropped.
pub struct Service {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Arc<Mutex<String>>,
    stderr_reader: JoinHandle<()>,
    pub announcement: Value,
    pub http: SocketAddr,
    pub ops: SocketAddr,
}

/// How a process ended.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

fn command(args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_product-svc"));
    command.args(args).env_clear().envs(env.iter().copied());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs product-svc with exactly these arguments to its end.
pub async fn run(args: &[&str], env: &[(&str, &str)]) -> Finished {
    let child = command(args, env).spawn().unwrap();
    let output = in_time("the process ends", child.wait_with_output())
        .await
        .unwrap();
    Finished {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Service {
    /// Starts product-svc with these arguments on free ports and waits until it is ready.
    pub async fn start(args: &[&str]) -> Self {
        Self::start_with_env(args, &[]).await
    }

    pub async fn start_with_env(args: &[&str], env: &[(&str, &str)]) -> Self {
        // `--stop-on-stdin-eof`: no process outlives a test runner that was killed.
        let ports = [
            "--stop-on-stdin-eof",
            "--set",
            "listen=127.0.0.1:0",
            "--set",
            "ops.listen=127.0.0.1:0",
        ];
        let mut child = command(&[&ports, args].concat(), env).spawn().unwrap();

        let stderr = Arc::new(Mutex::new(String::new()));
        let stderr_reader =
            tokio::spawn(collect(child.stderr.take().unwrap(), Arc::clone(&stderr)));
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        in_time(
            "the service announces its addresses",
            stdout.read_line(&mut line),
        )
        .await
        .unwrap();
        let announcement: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            panic!(
                "{error} in announcement {line:?}; stderr: {}",
                text(&stderr)
            )
        });
        let address = |key: &str| announcement[key].as_str().unwrap().parse().unwrap();
        let (http, ops) = (address("http"), address("ops"));
        Self {
            child,
            stdout,
            stderr,
            stderr_reader,
            announcement,
            http,
            ops,
        }
    }

    pub async fn get(&self, path_and_query: &str) -> Reply {
        Request::get(path_and_query).send(self.http).await
    }

    pub async fn post(&self, path_and_query: &str) -> Reply {
        Request::new("POST", path_and_query).send(self.http).await
    }

    pub async fn get_ops(&self, path_and_query: &str) -> Reply {
        Request::get(path_and_query).send(self.ops).await
    }

    pub async fn terminate(&self) {
        let pid = self.child.id().expect("the process is running").to_string();
        // The shell's own kill: not every machine has the program.
        let status = Command::new("/bin/sh")
            .args(["-c", "kill -TERM \"$0\"", &pid])
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }

    /// Closes its standard input.
    pub fn close_stdin(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits until it has ended by itself.
    pub async fn finished(mut self) -> Finished {
        // `Child::wait` would close standard input, which stops the service: hold it until the end.
        let _stdin = self.child.stdin.take();
        let status = in_time("the service ends", self.child.wait())
            .await
            .unwrap();
        let mut stdout = String::new();
        self.stdout.read_to_string(&mut stdout).await.unwrap();
        self.stderr_reader.await.unwrap();
        Finished {
            status,
            stdout,
            stderr: text(&self.stderr),
        }
    }
}

async fn collect(mut stderr: ChildStderr, into: Arc<Mutex<String>>) {
    let mut chunk = [0; 4096];
    while let Ok(length @ 1..) = stderr.read(&mut chunk).await {
        let part = String::from_utf8_lossy(&chunk[..length]);
        into.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_str(&part);
    }
}

fn text(stderr: &Mutex<String>) -> String {
    stderr
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}
