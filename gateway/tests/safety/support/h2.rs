//! HTTP/2, frame by frame (RFC 9113), with header blocks of nothing but plain literals (RFC 7541): what no client library would send.

use std::net::SocketAddr;

use super::connection::Connection;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block, each field a literal that is not remembered.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        string(&mut bytes, name.as_bytes());
        string(&mut bytes, value.as_bytes());
    }
    bytes
}

fn string(bytes: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(length) if length < 127 => bytes.push(length),
        _ => {
            bytes.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                bytes.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            bytes.push(rest as u8);
        }
    }
    bytes.extend_from_slice(text);
}

/// A whole request without a body.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        stream,
        &block(&[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", path),
        ]),
    )
}

pub fn error_code(frame: &Frame) -> u32 {
    let at = if frame.kind == GOAWAY { 4 } else { 0 };
    u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap())
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Answered(u16),
    /// Reset, with this code.
    Reset(u32),
    /// With the whole connection.
    Connection,
}

pub struct Http2 {
    pub connection: Connection,
    /// The code of a GOAWAY that came.
    pub goaway: Option<u32>,
}

impl Http2 {
    /// Connects and exchanges settings.
    pub async fn to(address: SocketAddr) -> Result<Self, String> {
        let mut connection = Connection::to(address).await;
        connection.send(PREFACE).await;
        connection.send(&frame(SETTINGS, 0, 0, &[])).await;
        let mut http2 = Self {
            connection,
            goaway: None,
        };
        match http2.next().await? {
            Some(first) if first.kind == SETTINGS => {}
            other => return Err(format!("no HTTP/2: {other:?}")),
        }
        http2.send(frame(SETTINGS, ACK, 0, &[])).await;
        Ok(http2)
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.connection.send(bytes.as_ref()).await
    }

    /// The next frame; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Frame>, String> {
        let head = self.connection.bytes(9).await?;
        if head.len() < 9 {
            return Ok(None);
        }
        // An answer in HTTP/1.1 has no such length.
        if head.starts_with(b"HTTP/1.1") {
            return Err("answered in HTTP/1.1".to_owned());
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap()) & 0x7fff_ffff;
        let all = self.connection.bytes(9 + length).await?;
        if all.len() < 9 + length {
            return Ok(None);
        }
        let payload = all[9..9 + length].to_vec();
        self.connection.unread.drain(..9 + length);
        let frame = Frame {
            kind,
            flags,
            stream,
            payload,
        };
        if kind == GOAWAY {
            self.goaway = Some(error_code(&frame));
        }
        Ok(Some(frame))
    }

    /// Reads until this stream has ended.
    pub async fn end_of(&mut self, stream: u32) -> Result<End, String> {
        let mut status = None;
        while let Some(frame) = self.next().await? {
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                HEADERS if status.is_none() => status = Some(status_of(&frame.payload)?),
                RST_STREAM => match (status, error_code(&frame)) {
                    // The answer is complete, and the rest of the request not wanted.
                    (Some(status), 0) => return Ok(End::Answered(status)),
                    (_, code) => return Ok(End::Reset(code)),
                },
                _ => {}
            }
            if let (DATA | HEADERS, Some(status)) = (frame.kind, status)
                && frame.flags & END_STREAM != 0
            {
                return Ok(End::Answered(status));
            }
        }
        Ok(End::Connection)
    }

    /// Reads until the connection has ended, and gives the code of its GOAWAY.
    pub async fn ended(&mut self) -> Result<Option<u32>, String> {
        while self.next().await?.is_some() {}
        Ok(self.goaway)
    }
}

/// The status at the beginning of a header block: an entry of the static table, or three digits, plain or in Huffman's code.
fn status_of(block: &[u8]) -> Result<u16, String> {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    let unknown = || format!("a header block that does not begin with a status: {block:?}");
    let mut block = block;
    // Changes of the table's size.
    while block.first().is_some_and(|byte| byte & 0xe0 == 0x20) {
        block = &block[1..];
    }
    match *block {
        [first @ 0x88..=0x8e, ..] => Ok(INDEXED[usize::from(first - 0x88)]),
        [first, length, ref rest @ ..]
            if (0x48..=0x4e).contains(&first) || (0x08..=0x0e).contains(&first) =>
        {
            let value = rest.get(..usize::from(length & 0x7f)).ok_or_else(unknown)?;
            let digits = if length & 0x80 == 0 {
                String::from_utf8_lossy(value).into_owned()
            } else {
                huffman_digits(value)
            };
            digits.parse().map_err(|_| unknown())
        }
        _ => Err(unknown()),
    }
}

/// Digits are 5 or 6 bits: 0 to 2 are `00000` to `00010`, 3 to 9 `011001` to `011111`.
fn huffman_digits(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
        .collect();
    let number = |bits: &[u8]| bits.iter().fold(0, |number, bit| number << 1 | bit);
    let mut digits = String::new();
    let mut at = 0;
    while digits.len() < 3 && at + 5 <= bits.len() {
        let short = number(&bits[at..at + 5]);
        if short <= 2 {
            digits.push(char::from(b'0' + short));
            at += 5;
        } else if at + 6 <= bits.len() {
            let long = number(&bits[at..at + 6]);
            digits.push(char::from(b'0' + long.wrapping_sub(25) + 3));
            at += 6;
        } else {
            break;
        }
    }
    digits
}

#[test]
fn statuses_are_read_however_they_are_written() {
    assert_eq!(status_of(&[0x88]), Ok(200));
    assert_eq!(status_of(&[0x40]).ok(), None);
    assert_eq!(status_of(&[0x20, 0x8c]), Ok(400));
    assert_eq!(status_of(&[0x48, 3, b'5', b'0', b'2']), Ok(502));
    // RFC 7541, C.6.1: 302.
    assert_eq!(status_of(&[0x48, 0x82, 0x64, 0x02]), Ok(302));
}
