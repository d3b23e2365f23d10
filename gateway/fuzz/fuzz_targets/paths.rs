//! What a server that decodes, resolves and merges as much as it can makes of a path. Nothing of the gateway's own is used for it.

pub fn as_an_eager_server_reads_it(path: &str) -> String {
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..4 {
        bytes = decoded(&bytes);
        for byte in &mut bytes {
            if *byte == b'\\' {
                *byte = b'/';
            }
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = text.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment.split(';').next().unwrap_or_default() {
            "." => {}
            ".." => {
                kept.pop();
            }
            // Two slashes are one; a last one stays.
            "" if segment.is_empty() && segments.peek().is_some() => {}
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match (
            bytes[at],
            digit(bytes.get(at + 1)),
            digit(bytes.get(at + 2)),
        ) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}
