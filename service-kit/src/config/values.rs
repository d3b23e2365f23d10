//! Texts to values and back: durations, sizes, numbers.

use std::time::Duration;

/// A text as TOML writes it.
pub(crate) fn show_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(letter)))
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// `500ms`, `2s`, `1m 30s`, `0`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text.trim()).ok()
}

pub(crate) fn show_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

const UNITS: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// `64KiB`, `1 MB`, `100B`, `100`.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, factor) = UNITS
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number, *factor)))
        .unwrap_or((text, 1));
    number.trim().parse::<u64>().ok()?.checked_mul(factor)
}

pub(crate) fn show_bytes(bytes: u64) -> String {
    let unit = UNITS
        .iter()
        .take(4)
        .rev()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    match unit {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A base address with one of these schemes, with a host and without a query.
pub(crate) fn parse_base_url(text: &str, schemes: &[&str]) -> Option<http::Uri> {
    let uri: http::Uri = text.trim().parse().ok()?;
    let authority = uri.authority()?;
    let plain = uri
        .scheme_str()
        .is_some_and(|scheme| schemes.contains(&scheme))
        && !authority.host().is_empty()
        && !authority.as_str().contains('@')
        && uri.query().is_none()
        && !text.contains('#');
    // `Authority` accepts "host:" and ports beyond 65535.
    let port = match authority
        .as_str()
        .strip_prefix(authority.host())
        .unwrap_or("")
    {
        "" => true,
        port => port
            .strip_prefix(':')
            .is_some_and(|digits| digits.parse::<u16>().is_ok_and(|port| port > 0)),
    };
    (plain && port).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            ("64KiB", Some(65_536)),
            ("1 MB", Some(1_000_000)),
            ("100", Some(100)),
            ("7B", Some(7)),
            ("-1", None),
            ("1.5MB", None),
            ("MB", None),
            ("99999999TiB", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
        assert_eq!(show_bytes(65_536), "64KiB");
        assert_eq!(show_bytes(1_000), "1000B");
        assert_eq!(show_bytes(0), "0B");
    }

    #[test]
    fn texts_are_quoted_as_toml_reads_them() {
        for text in [
            "plain",
            "a \"b\" \\ c",
            "tab\tline\nbell\u{7}delete\u{7f}",
            "\u{e4}\u{1f600}",
        ] {
            let line = format!("x = {}", show_text(text));
            let table: std::collections::HashMap<String, String> =
                toml::from_str(&line).expect(&line);
            assert_eq!(table["x"], text);
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("0"), Some(Duration::ZERO));
        assert_eq!(parse_duration("5"), None);
        assert_eq!(parse_duration("-1s"), None);
    }
}
