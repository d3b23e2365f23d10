//! Which protocol a plain-text connection speaks.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// What an HTTP/2 client with prior knowledge sends first (RFC 9113, section 3.4). No HTTP/1 request begins so.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Reads as much as it takes to know, and no more than that. Returns what was read.
pub(super) async fn detect(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<(Protocol, Vec<u8>)> {
    let mut seen = Vec::with_capacity(PREFACE.len());
    loop {
        let missing = PREFACE.len() - seen.len();
        if (&mut *stream)
            .take(missing as u64)
            .read_buf(&mut seen)
            .await?
            == 0
            || !PREFACE.starts_with(&seen)
        {
            return Ok((Protocol::Http1, seen));
        }
        if seen.len() == PREFACE.len() {
            return Ok((Protocol::Http2, seen));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn of(pieces: &[&[u8]]) -> (Protocol, Vec<u8>) {
        let (mut near, mut far) = tokio::io::duplex(8);
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        let writing = tokio::spawn(async move {
            for piece in pieces {
                let _ = near.write_all(&piece).await;
            }
        });
        let found = detect(&mut far).await.unwrap();
        drop(far);
        writing.await.unwrap();
        found
    }

    #[tokio::test]
    async fn only_the_whole_preface_is_http2() {
        for (pieces, protocol) in [
            (vec![&PREFACE[..]], Protocol::Http2),
            (
                vec![&PREFACE[..1], &PREFACE[1..20], &PREFACE[20..]],
                Protocol::Http2,
            ),
            (vec![&PREFACE[..], b"more"], Protocol::Http2),
            (vec![&PREFACE[..23]], Protocol::Http1),
            (vec![b"PRI * HTTP/1.1\r\n\r\n"], Protocol::Http1),
            (vec![b"GET / HTTP/1.1\r\n\r\n"], Protocol::Http1),
            (vec![b"P", b"OST / HTTP/1.1"], Protocol::Http1),
            (vec![], Protocol::Http1),
        ] {
            let (found, seen) = of(&pieces).await;
            assert_eq!(found, protocol, "{pieces:?}");
            assert!(pieces.concat().starts_with(&seen));
        }
    }
}
