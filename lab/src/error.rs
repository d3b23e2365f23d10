//! Why a run could not be finished. Every message is written for the person who started the lab.

use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum LabError {
    #[error("cannot write to the output directory {}: {source}\nChoose another with --out DIR.", path.display())]
    OutputNotWritable {
        path: PathBuf,
        source: std::io::Error,
    },

    #[error("cannot write {}: {source}", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },

    #[error("cannot write to standard output: {0}")]
    Stdout(std::io::Error),

    #[error("cannot start {process}: {source}")]
    Spawn {
        process: String,
        source: std::io::Error,
    },

    #[error("{process} did not start: it ended ({status}) before it was listening.{tail}")]
    EndedBeforeListening {
        process: String,
        status: String,
        tail: LogTail,
    },

    #[error("{process} did not say that it is listening within {}.{tail}", humantime::format_duration(*limit))]
    SilentStart {
        process: String,
        limit: Duration,
        tail: LogTail,
    },

    #[error("{process} announced something that is not a listening address: {line}")]
    Announcement { process: String, line: String },

    #[error("{process} ended in the middle of the experiment ({status}).{tail}")]
    Died {
        process: String,
        status: String,
        tail: LogTail,
    },

    #[error("{what} failed: {reason}")]
    Control { what: String, reason: String },

    #[error("a simulated user panicked: {0}")]
    User(#[from] tokio::task::JoinError),

    #[error("the lab cannot set up its own runtime: {0}")]
    Runtime(std::io::Error),
}

/// The end of a process's log, shown where the process failed so that nobody has to look for it.
#[derive(Debug)]
pub struct LogTail {
    pub path: PathBuf,
    pub lines: Vec<String>,
}

impl std::fmt::Display for LogTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.lines.is_empty() {
            return write!(f, " It wrote nothing to its log, {}.", self.path.display());
        }
        write!(f, " The end of its log, {}:", self.path.display())?;
        for line in &self.lines {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}
