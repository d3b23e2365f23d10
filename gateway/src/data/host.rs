//! The host that a request asks for.

/// A host with an optional port, as it was written. Stricter than [`Authority`](http::uri::Authority), which lets in user
/// information and odd characters that would have to be quoted wherever the host is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host<'r> {
    // Bytes, because most requests are routed without a look at the host, and to make a text of them costs more than to check them.
    text: &'r [u8],
    name: usize,
}

impl<'r> Host<'r> {
    /// Checks what stands in `Host` or `:authority`. `None` if it names no host.
    #[must_use]
    pub fn parse(text: &'r [u8]) -> Option<Self> {
        let name = match text.first() {
            Some(b'[') => bracketed(text)?,
            _ => named(text)?,
        };
        match text.get(name..) {
            None | Some([]) => {}
            Some([b':', port @ ..]) if is_port(port) => {}
            Some(_) => return None,
        }
        Some(Self { text, name })
    }

    /// With its port, as it was written.
    #[must_use]
    pub fn as_str(&self) -> &'r str {
        text(self.text)
    }

    /// Without its port, and without the dot at the end that names the same host; an IPv6 address keeps its brackets. Upper and lower
    /// case mean the same.
    #[must_use]
    pub fn name(&self) -> &'r str {
        let name = self.text.get(..self.name).unwrap_or_default();
        text(name.strip_suffix(b".").unwrap_or(name))
    }

    /// Whether both are the same, port included.
    #[must_use]
    pub fn is_same(&self, other: &Host<'_>) -> bool {
        self.text.eq_ignore_ascii_case(other.text)
    }
}

/// Nothing but ASCII was let in.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// How long a name is, whose labels are not empty.
fn named(text: &[u8]) -> Option<usize> {
    let mut before = b'.';
    for (at, &byte) in text.iter().enumerate() {
        if !is_usual(byte) {
            return (at > 0).then_some(at);
        }
        if byte == b'.' && before == b'.' {
            return None;
        }
        before = byte;
    }
    (!text.is_empty()).then_some(text.len())
}

fn is_usual(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// How long an IPv6 address in brackets is.
fn bracketed(text: &[u8]) -> Option<usize> {
    let end = text.iter().position(|&byte| byte == b']')?;
    let address = std::str::from_utf8(text.get(1..end)?).ok()?;
    address.parse::<std::net::Ipv6Addr>().ok()?;
    Some(end + 1)
}

/// It may be left out after its colon.
fn is_port(port: &[u8]) -> bool {
    let mut number = 0_u32;
    port.iter().all(|digit| {
        number = number * 10 + u32::from(digit.wrapping_sub(b'0'));
        digit.is_ascii_digit() && number <= u16::MAX.into()
    })
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
            ("shop.example.", Some("shop.example")),
            ("shop.example.:80", Some("shop.example")),
            (".", None),
            ("..", None),
            (".a", None),
            ("a..b", None),
            ("a..", None),
            ("a..:80", None),
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
