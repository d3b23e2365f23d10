//! The only place that writes to the terminal, and the only one that decides about colour.

use std::io::{ErrorKind, IsTerminal, Write};

use crate::error::LabError;

/// Results go to standard output; a closed pipe (`lab | head`) is no reason to fail.
pub fn print(text: &str) -> Result<(), LabError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(LabError::Stdout(error)),
        _ => Ok(()),
    }
}

/// Progress and remarks go to standard error.
pub fn remark(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "{text}");
}

/// Why the lab stopped, in the form every command-line tool uses.
pub fn complain(text: &str) {
    remark(&format!("lab: {text}"));
}

/// Whether standard output may be coloured: a terminal, and nobody asked for none (<https://no-color.org>).
pub fn colour_on_stdout() -> bool {
    std::io::stdout().is_terminal() && colour_allowed(std::env::var_os("NO_COLOR"))
}

fn colour_allowed(no_color: Option<std::ffi::OsString>) -> bool {
    no_color.is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_counts_only_when_it_is_not_empty() {
        assert!(colour_allowed(None));
        assert!(colour_allowed(Some("".into())));
        assert!(!colour_allowed(Some("1".into())));
    }
}
