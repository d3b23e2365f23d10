//! Where values made for one request are written.

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue};

use super::request_id::RequestIds;

/// The memory of one block. A value keeps its block for as long as it lives, so a large block would let one slow request hold much.
const BLOCK: usize = 2048;

/// One per worker: values are cut from blocks that many requests share, so that most requests allocate nothing for theirs.
#[derive(Debug)]
pub struct Scratch {
    block: BytesMut,
    ids: RequestIds,
    /// Names that are about to be taken out.
    pub(super) names: Vec<HeaderName>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    /// Starts the sequence of request ids from the system's randomness.
    #[must_use]
    pub fn new() -> Self {
        Self {
            block: BytesMut::new(),
            ids: RequestIds::from_system(),
            names: Vec::new(),
        }
    }

    /// A value put together from pieces; `None` if they make none, which pieces of valid values always do.
    pub(super) fn value(&mut self, pieces: &[&[u8]]) -> Option<HeaderValue> {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        self.room(length);
        for piece in pieces {
            self.block.extend_from_slice(piece);
        }
        self.cut()
    }

    /// All lines of a list field and a last element as one line, so that "the last element" has one meaning.
    pub(super) fn list<'v>(
        &mut self,
        values: impl Iterator<Item = &'v HeaderValue>,
        last: &'v [u8],
    ) -> Option<HeaderValue> {
        self.joined(values.map(HeaderValue::as_bytes).chain([last]), b", ")
    }

    /// The values that are not empty as one, with this between them.
    pub(super) fn joined<'v>(
        &mut self,
        values: impl Iterator<Item = &'v [u8]>,
        between: &[u8],
    ) -> Option<HeaderValue> {
        self.room(0);
        for value in values.map(<[u8]>::trim_ascii) {
            if !value.is_empty() {
                if !self.block.is_empty() {
                    self.block.extend_from_slice(between);
                }
                self.block.extend_from_slice(value);
            }
        }
        self.cut()
    }

    /// 128 random bits in hexadecimal.
    pub(super) fn request_id(&mut self) -> Option<HeaderValue> {
        let id = self.ids.next_id();
        self.value(&[&id])
    }

    fn room(&mut self, length: usize) {
        if self.block.capacity() < length.max(1) {
            self.block.reserve(length.max(BLOCK));
        }
    }

    fn cut(&mut self) -> Option<HeaderValue> {
        let written: Bytes = self.block.split().freeze();
        HeaderValue::from_maybe_shared(written).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_block_do_not_touch_each_other() {
        let mut scratch = Scratch::new();
        let values: Vec<_> = (0..500)
            .map(|number: u32| {
                let text = number.to_string();
                let value = scratch.value(&[b"n=", text.as_bytes()]).unwrap();
                (format!("n={number}"), value)
            })
            .collect();
        for (expected, value) in values {
            assert_eq!(value, expected);
        }
    }

    #[test]
    fn a_list_is_one_line() {
        let mut scratch = Scratch::new();
        let lines = ["a", " b ,c", "  "].map(HeaderValue::from_static);
        assert_eq!(
            scratch.list(lines.iter(), b"last").unwrap(),
            "a, b ,c, last"
        );
        assert_eq!(scratch.list([].iter(), b"only").unwrap(), "only");
    }

    #[test]
    fn what_is_no_value_is_none_and_spoils_nothing() {
        let mut scratch = Scratch::new();
        assert!(scratch.value(&[b"a\n"]).is_none());
        assert_eq!(scratch.value(&[b"b"]).unwrap(), "b");
    }
}
