//! Runs the tests of one mutant after the other.

use crate::tests::Target;
use std::{
    collections::HashMap,
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

pub enum Outcome {
    /// A test has failed.
    Caught(String),
    /// The tests did not end.
    Endless(&'static str),
    Survived,
}

pub struct Runner {
    pub binaries: HashMap<String, PathBuf>,
    /// Tests read files by paths from here.
    pub library: PathBuf,
    /// How long the tests of the code as it is take.
    pub usual: HashMap<Target, Duration>,
}

impl Runner {
    /// Runs the tests of the code as it is.
    pub fn measure(&mut self, targets: &[Target]) {
        for &target in targets {
            let begun = Instant::now();
            let (status, output) = self.test(target, 0, Duration::from_secs(600));
            assert!(
                status.is_some_and(|status| status.success()),
                "without a mutant, {} fails: {output}",
                target.name
            );
            eprintln!("{}: {:.1} s", target.name, begun.elapsed().as_secs_f64());
            self.usual.insert(target, begun.elapsed());
        }
    }

    pub fn examine(&self, id: u32, targets: &'static [Target]) -> Outcome {
        for &target in targets {
            let limit = self.usual[&target] * 5 + Duration::from_secs(10);
            let (status, output) = self.test(target, id, limit);
            match status {
                None => return Outcome::Endless(target.name),
                Some(status) if status.success() => {}
                // SIGXCPU, and SIGKILL where that is not enough.
                Some(status) if matches!(status.signal(), Some(9 | 24)) => {
                    return Outcome::Endless(target.name);
                }
                Some(_) => return Outcome::Caught(format!("{} {}", target.name, failed(&output))),
            }
        }
        Outcome::Survived
    }

    // No status: it took longer than `limit`.
    fn test(&self, target: Target, id: u32, limit: Duration) -> (Option<ExitStatus>, String) {
        let log = std::env::temp_dir().join(format!(
            "mutant-{}-{:?}",
            std::process::id(),
            thread::current().id()
        ));
        let file = fs::File::create(&log).expect("there is room for a file");
        // A mutant may ask for all memory, or never rest.
        let script = format!(
            "ulimit -v 8000000; ulimit -t {}; exec \"$0\" \"$@\"",
            limit.as_secs() * 2
        );
        let mut command = Command::new("sh");
        command
            .args(["-c", &script])
            .arg(&self.binaries[target.name]);
        command.args(["-Zunstable-options", "--fail-fast", "--test-threads=2"]);
        command.args(target.only);
        for name in target.skip {
            command.args(["--skip", name]);
        }
        let mut child = command
            .current_dir(&self.library)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUST_BACKTRACE", "0")
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .env("PROPTEST_FAILURE_PERSISTENCE", "off")
            .env("MUTANT", id.to_string())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .expect("sh runs");
        let status = wait(&mut child, limit);
        let output = fs::read(&log).unwrap_or_default();
        let _ = fs::remove_file(&log);
        (status, String::from_utf8_lossy(&output).into_owned())
    }
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return Some(status);
        }
        if begun.elapsed() > limit {
            // `sh` has become the test: there is no other process.
            child.kill().expect("it is our child");
            child.wait().expect("it is our child");
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn failed(output: &str) -> String {
    let lines = output.lines().filter(|line| line.ends_with("FAILED"));
    let mut names = lines.filter_map(|line| line.strip_prefix("test ")?.split(" ... ").next());
    names.next().unwrap_or("has crashed").to_owned()
}

pub fn library(work: &Path) -> PathBuf {
    work.join("tree/tower-breaker")
}
