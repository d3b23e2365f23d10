//! A gateway in front of backends.

use tokio::sync::{Mutex, MutexGuard};

use super::{backend::Backend, config, gateway::Gateway};

/// One test at a time.
pub async fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// What most tests are about: impatient, with another attempt for what fails and a rest for who fails.
pub const GUARDED: &str = r#"
timeout = "1s"
retry = { attempts = 3, backoff = "2ms", backoff_max = "10ms", budget = { ratio = 1.0, per_second = 1000 } }
ejection = { consecutive_failures = 3, base = "1s", max = "2s" }
"#;

pub async fn backends<const N: usize>() -> [Backend; N] {
    let mut all = Vec::new();
    for _ in 0..N {
        all.push(Backend::start().await);
    }
    all.try_into().ok().unwrap()
}

/// `upstream`: keys of the upstream.
pub async fn in_front_of(backends: &[Backend], upstream: &str) -> Gateway {
    let urls: Vec<_> = backends.iter().map(Backend::url).collect();
    with(&format!("endpoints = {urls:?}\n{upstream}"), &[]).await
}

/// A gateway with one upstream.
pub async fn with(upstream: &str, set: &[String]) -> Gateway {
    Gateway::start(&configuration(upstream), set).await
}

pub fn configuration(upstream: &str) -> std::path::PathBuf {
    config::file(&format!(
        "workers = 2\nmax_body = \"1MiB\"\n[access_log]\nenabled = false\n[upstreams.only]\n{upstream}\n[[route]]\npath = \"/{{*rest}}\"\nupstream = \"only\"\n"
    ))
}
