//! The one line a service writes to standard output once it listens.

use std::net::SocketAddr;

use serde::Deserialize;

/// Where a service listens. Port 0 in its configuration has become a real port here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Announcement {
    pub service: String,
    /// What clients use.
    pub http: SocketAddr,
    /// Health, metrics and breakers.
    pub ops: SocketAddr,
}

#[derive(Deserialize)]
struct Line {
    event: String,
    #[serde(flatten)]
    announcement: Announcement,
}

impl Announcement {
    /// `None` when the line is anything else than a `listening` event.
    pub fn parse(line: &str) -> Option<Self> {
        let line: Line = serde_json::from_str(line).ok()?;
        (line.event == "listening").then_some(line.announcement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_line_of_the_protocol() {
        let line = r#"{"event":"listening","service":"cart-svc","http":"127.0.0.1:41231","ops":"127.0.0.1:41232"}"#;
        let heard = Announcement::parse(line).unwrap();
        assert_eq!(heard.service, "cart-svc");
        assert_eq!((heard.http.port(), heard.ops.port()), (41231, 41232));
    }

    #[test]
    fn other_lines_are_not_announcements() {
        for line in [
            "",
            "listening on 127.0.0.1:80",
            r#"{"event":"stopping","service":"x","http":"127.0.0.1:1","ops":"127.0.0.1:2"}"#,
            r#"{"event":"listening","service":"x","http":"nowhere","ops":"127.0.0.1:2"}"#,
            r#"{"event":"listening","service":"x","http":"127.0.0.1:1"}"#,
        ] {
            assert_eq!(Announcement::parse(line), None, "{line}");
        }
    }
}
