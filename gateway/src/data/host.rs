//! The host that a request asks for.

/// A host with an optional port, as it was written. Stricter than [`Authority`](http::uri::Authority), which lets in user
/// information and odd characters that would have to be quoted wherever the host is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host<'r> {
    text: &'r str,
    name: &'r str,
}

impl<'r> Host<'r> {
    /// Checks what stands in `Host` or `:authority`. `None` if it names no host.
    #[must_use]
    pub fn parse(text: &'r [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                address.parse::<std::net::Ipv6Addr>().ok()?;
                (&text[..address.len() + 2], port)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                let (name, port) = text.split_at(end);
                is_name(name).then_some((name, port))?
            }
        };
        match port.strip_prefix(':') {
            None => port.is_empty(),
            // A port may be left out after its colon.
            Some(port) => port.is_empty() || is_port(port),
        }
        .then_some(Self { text, name })
    }

    /// With its port, as it was written.
    #[must_use]
    pub fn as_str(&self) -> &'r str {
        self.text
    }

    /// Without its port; an IPv6 address keeps its brackets. Upper and lower case mean the same.
    #[must_use]
    pub fn name(&self) -> &'r str {
        self.name
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_ports() {
        for (text, name) in [
            ("shop.example", Some("shop.example")),
            ("SHOP.example:8080", Some("SHOP.example")),
            ("127.0.0.1:8080", Some("127.0.0.1")),
            ("[::1]:8080", Some("[::1]")),
            ("[2001:db8::1]", Some("[2001:db8::1]")),
            ("a:", Some("a")),
            ("my_service", Some("my_service")),
            ("", None),
            (":80", None),
            ("a:b", None),
            ("a:+80", None),
            ("a:99999", None),
            ("a:1:2", None),
            ("a, b", None),
            ("a b", None),
            ("a\tb", None),
            ("user@a", None),
            ("user:secret@a", None),
            ("a/b", None),
            ("a?b", None),
            ("a#b", None),
            ("a\"b", None),
            ("a%2eb", None),
            ("[::1", None),
            ("::1", None),
            ("[x]", None),
            ("[]", None),
            ("[::1]a", None),
            ("[fe80::1%25eth0]", None),
            ("caf\u{e9}", None),
        ] {
            let host = Host::parse(text.as_bytes());
            assert_eq!(host.map(|host| host.name()), name, "{text}");
            assert!(host.is_none_or(|host| host.as_str() == text));
        }
        assert_eq!(Host::parse(b"a\xff"), None);
    }
}
