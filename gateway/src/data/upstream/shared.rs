//! An upstream, as all workers share it.

use std::sync::Arc;

use crate::{
    config::model::{Discovery, Upstream},
    data::{
        endpoints::{EndpointSpec, Endpoints, Settings},
        tls::Connector,
    },
};

/// What is configured, and where its requests can go.
#[derive(Debug)]
pub struct Shared {
    /// As it was configured.
    pub config: Upstream,
    /// What discovery, checks and the calls themselves know of its endpoints.
    pub endpoints: Endpoints,
    /// Makes handshakes with those that speak TLS, if there may be any.
    pub tls: Option<Arc<Connector>>,
}

impl Shared {
    /// With the endpoints that stand in the configuration, if they do.
    ///
    /// # Errors
    /// The endpoints' circuits cannot be built as configured, or a file of its TLS is of no use.
    pub fn new(config: Upstream, gateway: &Zone) -> Result<Self, tower::BoxError> {
        let endpoints = Endpoints::new(Settings::of(&config, gateway.clone()))?;
        if let Discovery::Static(fixed) = &config.discovery {
            endpoints.update(fixed.iter().map(EndpointSpec::from));
        }
        let tls = Connector::new(&config)?.map(Arc::new);
        Ok(Self {
            config,
            endpoints,
            tls,
        })
    }
}

/// Where the gateway stands.
pub type Zone = Option<Arc<str>>;
