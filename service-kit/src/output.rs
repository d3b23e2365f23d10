//! The few things a service says outside its log: answers to flags, the announcement, errors before the log exists.

use std::io::Write;

/// Writes to stdout; whoever closed it does not want to know.
pub(crate) fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Writes one message to stderr, with the service's name.
pub(crate) fn complain(service: &str, message: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "{service}: {message}");
}
