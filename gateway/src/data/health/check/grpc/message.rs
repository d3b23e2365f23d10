//! The two messages of the health check, in protobuf by hand: each has one field, which is no reason for a code generator.
//!
//! `HealthCheckRequest { string service = 1; }`, `HealthCheckResponse { ServingStatus status = 1; }`, each after gRPC's prefix of
//! one byte (compressed or not) and four (the length).

use bytes::{BufMut, Bytes, BytesMut};

/// What a service says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serving {
    /// It is ready.
    Serving,
    /// It is not, in its own word.
    Not(&'static str),
}

const PREFIX: usize = 5;
/// Field 1, length-delimited.
const SERVICE: u8 = 1 << 3 | 2;
/// Field 1, a number.
const STATUS: u64 = 1 << 3;

/// A request for a service; the server as a whole if it is empty.
pub(super) fn request(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    // A field with its default is not sent.
    if !service.is_empty() {
        message.put_u8(SERVICE);
        put_number(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    // Configuration is not that long.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(&message);
    framed.freeze()
}

/// The one message of an answer; `None` if it is anything else.
pub(super) fn response(framed: &[u8]) -> Option<Serving> {
    let (prefix, mut message) = framed.split_first_chunk::<PREFIX>()?;
    let [compressed, length @ ..] = *prefix;
    if compressed != 0 || u32::from_be_bytes(length) as usize != message.len() {
        return None;
    }
    let mut status = 0;
    while !message.is_empty() {
        let tag = number(&mut message)?;
        match tag {
            STATUS => status = number(&mut message)?,
            _ => skip(&mut message, tag)?,
        }
    }
    Some(match status {
        1 => Serving::Serving,
        0 => Serving::Not("UNKNOWN"),
        2 => Serving::Not("NOT_SERVING"),
        3 => Serving::Not("SERVICE_UNKNOWN"),
        _ => Serving::Not("a status that is not known"),
    })
}

/// Fields of later versions.
fn skip(message: &mut &[u8], tag: u64) -> Option<()> {
    let length = match tag & 7 {
        0 => {
            number(message)?;
            0
        }
        1 => 8,
        2 => usize::try_from(number(message)?).ok()?,
        5 => 4,
        _ => return None,
    };
    *message = message.get(length..)?;
    Some(())
}

fn number(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn put_number(message: &mut BytesMut, mut number: u64) {
    while number >= 0x80 {
        message.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    message.put_u8(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_are_those_of_the_protocol() {
        assert_eq!(request("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(
            request("shop")[..],
            [0, 0, 0, 0, 6, 0x0a, 4, b's', b'h', b'o', b'p']
        );
        let long = "s".repeat(300);
        assert_eq!(request(&long)[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn responses_are_read() {
        assert_eq!(response(&[0, 0, 0, 0, 2, 8, 1]), Some(Serving::Serving));
        assert_eq!(
            response(&[0, 0, 0, 0, 2, 8, 2]),
            Some(Serving::Not("NOT_SERVING"))
        );
        assert_eq!(response(&[0, 0, 0, 0, 0]), Some(Serving::Not("UNKNOWN")));
        // With fields that this version does not know: a number, a text, fixed ones.
        let later = [
            0, 0, 0, 0, 21, 16, 0x80, 1, 26, 1, b'x', 8, 1, 37, 1, 2, 3, 4, 41, 1, 2, 3, 4, 5, 6,
        ];
        assert_eq!(response(&later), None, "cut short");
        let later = [
            0, 0, 0, 0, 13, 16, 0x80, 1, 26, 1, b'x', 8, 1, 37, 1, 2, 3, 4,
        ];
        assert_eq!(response(&later), Some(Serving::Serving));
    }

    #[test]
    fn what_is_no_response_is_refused() {
        let bad: [&[u8]; 8] = [
            &[],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 3, 8, 1],
            &[0, 0, 0, 0, 1, 8, 1],
            &[0, 0, 0, 0, 1, 8],
            &[0, 0, 0, 0, 2, 26, 9],
            &[0, 0, 0, 0, 1, 0x0c],
        ];
        for bytes in bad {
            assert_eq!(response(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn rubbish_never_panics(mut message in prop::collection::vec(any::<u8>(), 0..40), framed in any::<bool>()) {
            if framed {
                let length = message.len() as u8;
                message.splice(0..0, [0, 0, 0, 0, length]);
            }
            let _ = response(&message);
        }
    }
}
