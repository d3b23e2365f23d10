//! The parts every experiment's system is put together from.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use http::Method;
use serde::Deserialize;

use crate::error::LabError;
use crate::experiments::Bench;
use crate::load::Client;
use crate::processes::{Running, Spec};
use crate::report::model::{Breaker, Process, Transition};

/// The configuration files a service ships, by file name.
pub type Shipped = &'static [(&'static str, &'static str)];

/// What each service ships.
pub mod shipped {
    use super::Shipped;

    pub const PRODUCT: Shipped = product_svc::CONFIGS;
    pub const CART: Shipped = cart_svc::CONFIGS;
    pub const GATEWAY: Shipped = gateway::CONFIGS;
}

/// A service with one of its shipped configurations and the few values the experiment has to change.
pub struct Service {
    /// The process's name within the experiment.
    pub name: &'static str,
    pub program: &'static str,
    pub shipped: Shipped,
    pub config: &'static str,
    pub set: Vec<(String, String)>,
}

impl Service {
    pub fn new(
        name: &'static str,
        program: &'static str,
        shipped: Shipped,
        config: &'static str,
    ) -> Self {
        // Free ports, so that nothing that runs on this machine already is in the way.
        let any_port = "127.0.0.1:0".to_owned();
        let set = vec![
            ("listen".to_owned(), any_port.clone()),
            ("ops.listen".to_owned(), any_port),
            // An experiment ends when its users are gone; nobody waits for what still hangs then.
            ("drain.limit".to_owned(), "5s".to_owned()),
        ];
        Self {
            name,
            program,
            shipped,
            config,
            set,
        }
    }

    pub fn set(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.set.push((key.to_owned(), value.to_string()));
        self
    }

    /// The shipped configuration's text.
    fn config_text(&self) -> Result<&'static str, String> {
        let shipped = self.shipped.iter().find(|(file, _)| *file == self.config);
        let (_, text) =
            shipped.ok_or_else(|| format!("{} ships no {}", self.program, self.config))?;
        Ok(text)
    }

    /// The same, under a note of what the command line changes in it.
    fn written_config(&self) -> Result<String, String> {
        let text = self.config_text()?;
        let mut note =
            "# As shipped. The lab started the service with this file and, on its command line,\n"
                .to_owned();
        for (key, value) in &self.set {
            note.push_str(&format!("#   --set {key}={value}\n"));
        }
        Ok(format!("{note}\n{text}"))
    }

    /// Starts it as a process of its own: this executable once more.
    pub async fn start(self, bench: &Bench<'_>, experiment: &str) -> Result<Running, LabError> {
        let name = format!("{experiment}-{}", self.name);
        let control = |reason: String| LabError::Control {
            what: format!("preparing {name}"),
            reason,
        };
        let program = std::env::current_exe().map_err(|error| control(error.to_string()))?;
        let config = bench
            .output
            .write_config(&name, &self.written_config().map_err(control)?)?;
        let mut args: Vec<OsString> = vec![
            "serve".into(),
            self.program.into(),
            "--config".into(),
            config.into(),
        ];
        for (key, value) in &self.set {
            args.extend(["--set".into(), format!("{key}={value}").into()]);
        }
        args.push("--stop-on-stdin-eof".into());
        let running = bench
            .supervisor
            .start(
                Spec {
                    name,
                    program,
                    args,
                },
                bench.output,
            )
            .await?;
        bench.remark(&format!(
            "{experiment}: started {} (pid {}) on {}, ops on {}",
            self.name, running.pid, running.at.http, running.at.ops
        ));
        Ok(running)
    }
}

impl Bench<'_> {
    pub fn remark(&self, text: &str) {
        if self.progress {
            crate::console::remark(text);
        }
    }
}

pub fn url(of: &Running) -> String {
    format!("http://{}", of.at.http)
}

pub fn described(running: &Running) -> Process {
    Process {
        name: running.name.clone(),
        service: running.at.service.clone(),
        pid: running.pid,
        http: running.at.http.to_string(),
        ops: running.at.ops.to_string(),
    }
}

/// The lab's own hands on the system: the fault switch and the ops listeners.
pub struct Hands {
    client: Client,
}

impl Hands {
    pub fn new() -> Self {
        Self {
            client: Client::new(Duration::from_secs(5)),
        }
    }

    /// `POST /fail/on` or `/fail/off`.
    pub async fn switch_failure(&self, at: SocketAddr, on: bool) -> Result<(), LabError> {
        let path = if on { "/fail/on" } else { "/fail/off" };
        self.ask(at, Method::POST, path).await.map(|_| ())
    }

    /// One breaker as the process itself has counted and logged it; times from the start of the load.
    pub async fn breaker(
        &self,
        process: &Running,
        name: &str,
        variant: &'static str,
        load_started_unix_ms: f64,
    ) -> Result<Breaker, LabError> {
        let body = self.ask(process.at.ops, Method::GET, "/breakers").await?;
        let what = format!("reading the breakers of {}", process.name);
        let failed = |reason: String| LabError::Control {
            what: what.clone(),
            reason,
        };
        let answer: Breakers =
            serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))?;
        let logged = answer
            .breakers
            .into_iter()
            .find(|logged| logged.name == name);
        let logged = logged.ok_or_else(|| failed(format!("there is no breaker {name}")))?;
        let place = |t: LoggedTransition| Transition {
            at_s: (t.at_unix_ms - load_started_unix_ms) / 1000.0,
            from: t.from,
            to: t.to,
            at_unix_ms: t.at_unix_ms,
            cause: t.cause,
        };
        Ok(Breaker {
            name: logged.name,
            process: process.name.clone(),
            variant,
            refused: logged.refused,
            trials_succeeded: logged.trials_succeeded,
            trials_failed: logged.trials_failed,
            transitions: logged.transitions.into_iter().map(place).collect(),
            observed: Vec::new(),
        })
    }

    /// What is in a cart: pieces of all products together.
    pub async fn pieces_in_cart(
        &self,
        at: SocketAddr,
        variant: &str,
        user: &str,
    ) -> Result<u64, LabError> {
        let path = format!("/{variant}/cart/view?user_id={user}");
        let body = self.ask(at, Method::GET, &path).await?;
        let cart: Cart = serde_json::from_slice(&body).map_err(|error| LabError::Control {
            what: format!("reading the cart of {user}"),
            reason: error.to_string(),
        })?;
        Ok(cart.items.iter().map(|item| item.quantity).sum())
    }

    async fn ask(
        &self,
        at: SocketAddr,
        method: Method,
        path: &str,
    ) -> Result<bytes::Bytes, LabError> {
        let what = format!("{method} {path} on {at}");
        match self.client.call(at, &method, path, None).await {
            Ok(answer) if answer.status.is_success() => Ok(answer.body),
            Ok(answer) => Err(LabError::Control {
                what,
                reason: format!("answered {}", answer.status),
            }),
            Err(error) => Err(LabError::Control {
                what,
                reason: error.to_string(),
            }),
        }
    }
}

#[derive(Deserialize)]
struct Breakers {
    breakers: Vec<LoggedBreaker>,
}

#[derive(Deserialize)]
struct LoggedBreaker {
    name: String,
    refused: u64,
    trials_succeeded: u64,
    trials_failed: u64,
    transitions: Vec<LoggedTransition>,
}

#[derive(Deserialize)]
struct LoggedTransition {
    from: String,
    to: String,
    at_unix_ms: f64,
    cause: Option<String>,
}

#[derive(Deserialize)]
struct Cart {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    quantity: u64,
}
