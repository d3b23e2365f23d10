//! Structured logs on stderr.

use crate::config::Section;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// `[log]`.
#[derive(Debug, Clone)]
pub(crate) struct LogSettings {
    level: String,
    format: Option<String>,
}

impl LogSettings {
    pub fn read(root: &mut Section<'_>) -> Self {
        let mut section = root.section_or_empty("log");
        let level = section.string("level", "info");
        if EnvFilter::builder().parse(&level).is_err() || level.trim().is_empty() {
            let allowed =
                "off, error, warn, info, debug or trace, also per target: \"info,hyper=warn\"";
            section.reject("level", allowed);
        }
        Self {
            level,
            format: section.opt_choice("format", &["json", "text"]),
        }
    }

    /// Installs the subscriber; a process that has one already (a test) keeps it.
    pub fn install(&self) {
        let Ok(filter) = EnvFilter::builder().parse(&self.level) else {
            return;
        };
        let terminal = std::io::stderr().is_terminal();
        let json = self
            .format
            .as_deref()
            .map_or(!terminal, |format| format == "json");
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter)
            // It would report a failed write to stderr on stderr, and panic when that fails too: in the middle of a
            // request, or of the drain, when the process that read the log is gone.
            .log_internal_errors(false)
            .with_writer(std::io::stderr);
        let _ = if json {
            builder
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .try_init()
        } else {
            let colour =
                terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            builder.with_ansi(colour).try_init()
        };
    }
}
