//! Endpoints named in the configuration.

use std::time::Duration;

use super::{
    names::{Names, Resolve, System},
    refresh::{Failure, Found, Source},
    schedule::{Holds, Retry},
};
use crate::config::model::Endpoint;

/// How often names are resolved again. The system's resolver does not tell a time to live.
pub(super) const INTERVAL: Duration = Duration::from_secs(30);

/// The source.
pub(super) struct Fixed<R = System> {
    configured: Vec<Endpoint>,
    names: Names<R>,
}

impl Fixed {
    pub(super) fn new(configured: Vec<Endpoint>) -> Self {
        Self {
            configured,
            names: Names::new(System),
        }
    }
}

impl<R: Resolve> Source for Fixed<R> {
    async fn look(&mut self) -> Result<Found, Failure> {
        let resolved = self.names.resolve(&self.configured).await;
        match resolved.failure {
            // Not one name known, not even from before: there is nothing to publish.
            Some(failure) if resolved.endpoints.is_empty() => Err(failure),
            incomplete => Ok(Found {
                endpoints: resolved.endpoints,
                holds: if resolved.has_names {
                    Holds::Polled(INTERVAL)
                } else {
                    Holds::ForEver
                },
                fresh: true,
                incomplete,
            }),
        }
    }

    fn retry(&self) -> Retry {
        Retry {
            first: Duration::from_secs(1),
            longest: INTERVAL,
        }
    }
}
