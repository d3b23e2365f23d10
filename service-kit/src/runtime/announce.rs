//! The one line on stdout by which a parent process learns the addresses.

use std::net::SocketAddr;

pub(crate) fn line(
    service: &str,
    http: SocketAddr,
    ops: SocketAddr,
    further: &[(String, SocketAddr)],
) -> String {
    // Formatted by hand to keep the order of the members; the name is a plain word and addresses need no escapes.
    let listeners = if further.is_empty() {
        String::new()
    } else {
        let members: Vec<String> = further
            .iter()
            .map(|(name, address)| format!("{}:\"{address}\"", serde_json::Value::from(&**name)))
            .collect();
        format!(",\"listeners\":{{{}}}", members.join(","))
    };
    format!(
        "{{\"event\":\"listening\",\"service\":\"{service}\",\"http\":\"{http}\",\"ops\":\"{ops}\"{listeners}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_listeners_are_named_if_there_are_any() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let plain = line("a", address(1), address(2), &[]);
        let end = "\"ops\":\"127.0.0.1:2\"}\n";
        assert!(plain.ends_with(end), "{plain}");
        let further = [
            ("tls".to_owned(), address(3)),
            ("a\"b".to_owned(), address(4)),
        ];
        let read: serde_json::Value =
            serde_json::from_str(&line("a", address(1), address(2), &further)).unwrap();
        assert_eq!(read["listeners"]["tls"], "127.0.0.1:3");
        assert_eq!(read["listeners"]["a\"b"], "127.0.0.1:4");
    }
}
