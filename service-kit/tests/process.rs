//! A service as a process: flags, announcement, exit statuses, stopping.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use support::{connect, get, until};

/// The example `sample`, built together with the tests.
fn sample() -> Command {
    let tests = std::env::current_exe().expect("this test's own path");
    let path: PathBuf = [
        tests
            .parent()
            .and_then(|deps| deps.parent())
            .expect("target folder"),
        "examples/sample".as_ref(),
    ]
    .iter()
    .collect();
    assert!(
        path.exists(),
        "{} is missing: cargo build -p service-kit --example sample",
        path.display()
    );
    let mut command = Command::new(path);
    command
        .env("SAMPLE__LOG__FORMAT", "text")
        .stdin(Stdio::null());
    command
}

fn output(args: &[&str]) -> Output {
    sample().args(args).output().expect("runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A running service, killed if the test fails.
struct Service {
    child: Child,
    stdout: BufReader<ChildStdout>,
    announcement: String,
    http: SocketAddr,
    ops: SocketAddr,
}

impl Service {
    fn start(args: &[&str]) -> Self {
        Self::spawn(sample().args(args))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut announcement = String::new();
        stdout.read_line(&mut announcement).expect("a line");
        let json: serde_json::Value = serde_json::from_str(&announcement).expect("a JSON line");
        let address = |name: &str| {
            json[name]
                .as_str()
                .and_then(|text| text.parse().ok())
                .expect("an address")
        };
        let (http, ops) = (address("http"), address("ops"));
        Self {
            child,
            stdout,
            announcement,
            http,
            ops,
        }
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for the end; gives the exit status, the rest of stdout, and stderr.
    fn end(mut self) -> (ExitStatus, String, String) {
        let status = until("the process ends", || {
            self.child.try_wait().expect("can be waited for")
        });
        let (mut rest, mut log) = (String::new(), String::new());
        self.stdout.read_to_string(&mut rest).expect("text");
        self.child
            .stderr
            .take()
            .expect("piped")
            .read_to_string(&mut log)
            .expect("text");
        (status, rest, log)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_announcement_is_the_only_line_on_stdout() {
    let service = Service::start(&[]);
    let expected = format!(
        "{{\"event\":\"listening\",\"service\":\"sample\",\"http\":\"{}\",\"ops\":\"{}\"}}\n",
        service.http, service.ops
    );
    assert_eq!(service.announcement, expected);
    assert_eq!(get(service.http, "/greet?name=you").text(), "hello you");
    assert_eq!(get(service.ops, "/readyz").status, 200);
    service.signal("-TERM");
    let (status, rest, log) = service.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(rest, "");
    assert!(log.contains("flushed") && log.contains("stopped"), "{log}");
}

#[test]
fn sigint_stops_it_too() {
    let service = Service::start(&[]);
    service.signal("-INT");
    assert_eq!(service.end().0.code(), Some(0));
}

#[test]
fn it_stops_when_stdin_ends() {
    let mut service = Service::spawn(sample().arg("--stop-on-stdin-eof").stdin(Stdio::piped()));
    drop(service.child.stdin.take());
    let (status, _, log) = service.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stdin was closed"), "{log}");
}

#[test]
fn it_works_on_when_nobody_reads_its_log() {
    let mut service = Service::spawn(sample().arg("--stop-on-stdin-eof").stdin(Stdio::piped()));
    drop(service.child.stderr.take());
    for _ in 0..3 {
        assert_eq!(get(service.http, "/items/1").status, 200);
    }
    assert_eq!(get(service.http, "/panic").status, 500);
    drop(service.child.stdin.take());
    let status = until("the process ends", || {
        service.child.try_wait().expect("can be waited for")
    });
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_hung_request_does_not_outlive_the_drain_limit() {
    let service = Service::start(&["--set", "drain.limit=100ms", "--set", "log.level=info"]);
    let mut hung = connect(service.http);
    std::io::Write::write_all(&mut hung, b"GET /hang HTTP/1.1\r\nhost: test\r\n\r\n")
        .expect("sends");
    until("the request is in flight", || {
        get(service.ops, "/metrics")
            .text()
            .contains("http_server_requests_in_flight 1")
            .then_some(())
    });
    service.signal("-TERM");
    let (status, _, log) = service.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("cut off what did not end within drain.limit"),
        "{log}"
    );
}

#[test]
fn during_the_drain_delay_it_is_unready_and_still_serves() {
    let service = Service::start(&["--set", "drain.delay=2s"]);
    service.signal("-TERM");
    until("unready", || {
        (get(service.ops, "/readyz").status == 503).then_some(())
    });
    assert_eq!(get(service.ops, "/readyz").json()["status"], "draining");
    assert_eq!(get(service.http, "/greet?name=late").text(), "hello late");
    assert_eq!(service.end().0.code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_drain() {
    let service = Service::start(&["--set", "drain.delay=1h"]);
    service.signal("-TERM");
    until("unready", || {
        (get(service.ops, "/readyz").status == 503).then_some(())
    });
    service.signal("-INT");
    let (status, _, log) = service.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_port_in_use_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    for key in ["listen", "ops.listen"] {
        let output = output(&["--set", &format!("{key}={address}")]);
        assert_eq!(output.status.code(), Some(1));
        let expected =
            format!("sample: cannot listen on {address} (key `{key}`): address already in use\n");
        assert!(stderr(&output).ends_with(&expected), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn a_bad_configuration_is_status_2_with_every_error() {
    let output = output(&[
        "--set",
        "listen=here",
        "--set",
        "greetin=x",
        "--set",
        "drain.limit=soon",
    ]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(
        text.starts_with("sample: 3 errors in the configuration\n"),
        "{text}"
    );
    assert!(
        text.contains("key `listen`: found \"here\"") && text.contains("did you mean `greeting`?"),
        "{text}"
    );
    assert!(text.contains("key `drain.limit`: found \"soon\""), "{text}");
    assert_eq!(stdout(&output), "");
}

#[test]
fn the_environment_is_read_and_checked() {
    let run = |name: &str, value: &str| {
        sample()
            .env(name, value)
            .arg("--check")
            .output()
            .expect("runs")
    };
    let good = run("SAMPLE__GREETING", "hi");
    assert_eq!(
        (good.status.code(), stdout(&good).as_str()),
        (Some(0), "built-in configuration: ok\n")
    );
    let unknown = run("SAMPLE__GREETINGS", "hi");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        stderr(&unknown).contains("environment variable SAMPLE__GREETINGS: unknown key"),
        "{}",
        stderr(&unknown)
    );
    let alias = run("SIMULATE_FAILURE", "maybe");
    assert_eq!(alias.status.code(), Some(2));
    assert!(
        stderr(&alias).contains("environment variable SIMULATE_FAILURE"),
        "{}",
        stderr(&alias)
    );
}

#[test]
fn check_and_print_config_do_not_start() {
    let path = std::env::temp_dir().join(format!("service-kit-check-{}.toml", std::process::id()));
    std::fs::write(&path, "greeting = \"good day\"\n").expect("a file");
    let file = path.to_str().expect("a readable path");
    let check = output(&["--config", file, "--check"]);
    assert_eq!(
        (check.status.code(), stdout(&check)),
        (Some(0), format!("{file}: ok\n"))
    );
    let print = output(&["--config", file, "--print-config", "--set", "max_body=1MiB"]);
    let _ = std::fs::remove_file(&path);
    let text = stdout(&print);
    assert_eq!(print.status.code(), Some(0));
    for line in [
        &format!("greeting = \"good day\"  # {file}:1:1") as &str,
        "max_body = \"1MiB\"  # --set",
        "limit = \"20s\"  # default",
        "[drain]",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn flags() {
    let help = output(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = stdout(&help);
    assert!(
        text.contains("--config") && text.contains("SAMPLE__A__B") && !text.contains("stdin"),
        "{text}"
    );
    assert_eq!(output(&["--version"]).status.code(), Some(0));
    let wrong = output(&["--nonsense"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("--nonsense"), "{}", stderr(&wrong));
    let missing = output(&["--config", "/nowhere/x.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert_eq!(
        stderr(&missing),
        "sample: /nowhere/x.toml: cannot read the configuration file: no such file or directory\n"
    );
}

#[test]
fn a_panic_is_logged_and_costs_one_request() {
    let service = Service::start(&["--set", "log.format=json"]);
    let answer = get(service.http, "/panic");
    let detail = answer.problem(500);
    assert!(!detail.contains("always panics"), "{detail}");
    assert_eq!(get(service.http, "/items/1").status, 200);
    service.signal("-TERM");
    let (_, _, log) = service.end();
    let events: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let panic = events
        .iter()
        .find(|event| event["level"] == "ERROR")
        .expect("the panic");
    assert_eq!(panic["panic"], "this handler always panics");
    let access = events
        .iter()
        .find(|event| event["target"] == "access" && event["status"] == 500)
        .expect("its access event");
    assert_eq!(access["route"], "/panic");
    assert_eq!(access["trace_id"], panic["span"]["trace_id"]);
}
