//! An upstream, as all workers share it.

use tower_breaker::BuildError;

use crate::{
    config::model::{Discovery, Upstream},
    data::endpoints::{EndpointSpec, Endpoints, Settings},
};

/// What is configured, and where its requests can go.
#[derive(Debug)]
pub struct Shared {
    /// As it was configured.
    pub config: Upstream,
    /// What discovery, checks and the calls themselves know of its endpoints.
    pub endpoints: Endpoints,
}

impl Shared {
    /// With the endpoints that stand in the configuration, if they do.
    ///
    /// # Errors
    /// The endpoints' circuits cannot be built as configured.
    pub fn new(config: Upstream, gateway: &Zone) -> Result<Self, BuildError> {
        let endpoints = Endpoints::new(Settings::of(&config, gateway.clone()))?;
        if let Discovery::Static(fixed) = &config.discovery {
            endpoints.update(fixed.iter().map(EndpointSpec::from));
        }
        Ok(Self { config, endpoints })
    }
}

/// Where the gateway stands.
pub type Zone = Option<std::sync::Arc<str>>;
