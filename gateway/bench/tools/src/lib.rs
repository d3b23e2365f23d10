//! What the programs share: as much of HTTP/1.1 as they need to know where a message ends.

/// Where the head in `bytes` ends, its empty line included; `None` if it has not arrived as a whole.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|start| start + 4)
}

/// The value of a header, in a head.
pub fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The length that a head says of its body; 0 if it says none. Neither program is sent chunks.
pub fn content_length(head: &[u8]) -> usize {
    header(head, "content-length")
        .and_then(|value| value.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH: 12\r\n\r\n";

    #[test]
    fn the_end_is_behind_the_empty_line() {
        assert_eq!(head_end(HEAD), Some(HEAD.len()));
        assert_eq!(head_end(&HEAD[..HEAD.len() - 1]), None);
    }

    #[test]
    fn the_length_is_found_whatever_the_case() {
        assert_eq!(content_length(HEAD), 12);
        assert_eq!(content_length(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    }
}
