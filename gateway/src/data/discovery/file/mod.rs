//! A file that lists endpoints, followed by reading it again and again: contents are compared, so neither time stamps nor a
//! file system's notifications (which network mounts and container overlays do not have) matter.

mod parse;
mod read;

use std::{io, path::PathBuf, time::Duration};

use tokio::time::Instant;

use super::{
    endpoint::DiscoveredEndpoint,
    fixed::INTERVAL as RESOLVE_EVERY,
    names::{Names, System},
    refresh::{Failure, Found, Source},
    schedule::{Holds, Retry},
};
use crate::config::model::Endpoint;
use parse::ParseError;

#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Parse(#[from] ParseError),
}

/// The source.
pub(super) struct File {
    path: PathBuf,
    interval: Duration,
    names: Names<System>,
    /// What the file said when it was last looked at; `None` if it could not be read.
    content: Option<Vec<u8>>,
    /// What is wrong with it now.
    broken: Option<Failure>,
    /// The last good list.
    last: Option<List>,
}

struct List {
    configured: Vec<Endpoint>,
    /// The addresses of the list, and whether they have to be looked up again.
    resolved: Option<Addresses>,
}

struct Addresses {
    endpoints: Vec<DiscoveredEndpoint>,
    /// `None` if there is nothing to look up.
    due: Option<Instant>,
}

impl File {
    pub(super) fn new(path: PathBuf, interval: Duration) -> Self {
        Self {
            path,
            interval,
            names: Names::new(System),
            content: None,
            broken: None,
            last: None,
        }
    }

    async fn read(&self) -> io::Result<Vec<u8>> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read::read(&path));
        read.await.map_err(io::Error::other)?
    }

    fn take(&mut self, content: io::Result<Vec<u8>>) -> Result<(), FileError> {
        let content = match content {
            Ok(content) => content,
            Err(error) => {
                self.content = None;
                return Err(error.into());
            }
        };
        let parsed = parse::parse(&content);
        self.content = Some(content);
        let configured = parsed?;
        let unchanged = |last: &List| last.configured == configured;
        if !self.last.as_ref().is_some_and(unchanged) {
            self.last = Some(List {
                configured,
                resolved: None,
            });
        }
        Ok(())
    }
}

impl Source for File {
    async fn look(&mut self) -> Result<Found, Failure> {
        let content = self.read().await;
        let same = matches!((&content, &self.content), (Ok(now), Some(before)) if now == before);
        if !same {
            self.broken = self.take(content).err().map(Failure::new);
        }
        let Some(list) = &mut self.last else {
            let missing = || Failure::new("has not been read");
            return Err(self.broken.clone().unwrap_or_else(missing));
        };
        let mut failure = None;
        let now = Instant::now();
        let endpoints = match &list.resolved {
            Some(known) if known.due.is_none_or(|due| now < due) => known.endpoints.clone(),
            _ => {
                let resolved = self.names.resolve(&list.configured).await;
                failure = resolved.failure;
                if let Some(failure) = failure.take_if(|_| resolved.endpoints.is_empty()) {
                    return Err(self.broken.clone().unwrap_or(failure));
                }
                // Names that failed are due at once, that is at the next interval.
                let later = if failure.is_some() {
                    Duration::ZERO
                } else {
                    RESOLVE_EVERY
                };
                list.resolved = Some(Addresses {
                    endpoints: resolved.endpoints.clone(),
                    due: resolved.has_names.then(|| Instant::now() + later),
                });
                resolved.endpoints
            }
        };
        Ok(Found {
            endpoints,
            holds: Holds::Polled(self.interval),
            fresh: self.broken.is_none(),
            incomplete: self.broken.clone().or(failure),
        })
    }

    fn retry(&self) -> Retry {
        Retry::every(self.interval)
    }
}
