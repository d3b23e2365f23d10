//! Request ids: 128 random bits in hexadecimal.
//!
//! They must not repeat, over all workers and gateways, and need not be secret: so the generator (xoshiro256++ by Blackman and
//! Vigna, public domain) is seeded from the system's randomness once, and asks for no more of it.

use std::hash::{BuildHasher, RandomState};

#[derive(Debug)]
pub(super) struct RequestIds {
    state: [u64; 4],
}

impl RequestIds {
    pub fn from_system() -> Self {
        // Keyed by 128 bits of the system's randomness, and by a count that differs for each.
        let random = RandomState::new();
        let again = RandomState::new();
        let state = [
            random.hash_one(0_u8),
            random.hash_one(1_u8),
            again.hash_one(2_u8),
            again.hash_one(3_u8) | 1,
        ];
        Self { state }
    }

    pub fn next_id(&mut self) -> [u8; 32] {
        let mut id = [0; 32];
        let (halves, _) = id.as_chunks_mut::<16>();
        for half in halves {
            let bits = self.next_u64();
            let (high, low) = half.split_at_mut(8);
            high.copy_from_slice(&digits((bits >> 32) as u32));
            low.copy_from_slice(&digits(bits as u32));
        }
        id
    }

    fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        let shifted = b << 17;
        let (b, a) = (b ^ c, a ^ d);
        self.state = [a, b, c ^ shifted, d.rotate_left(45)];
        result
    }
}

/// The eight hexadecimal digits of a number, all at once: each nibble in a byte of its own, and 39 more for those from ten on, because
/// `a` is so far behind `9`.
fn digits(bits: u32) -> [u8; 8] {
    let mut nibbles = u64::from(bits);
    nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (nibbles + 0x3030_3030_3030_3030 + letters * 39).to_be_bytes()
}

/// An id of somebody else's that is worth keeping: not too long, and of characters that need no quoting in a log.
pub(super) fn is_plain(id: &[u8]) -> bool {
    (1..=128).contains(&id.len())
        && id
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:=+/".contains(byte))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The first outputs of the reference implementation for the state 1, 2, 3, 4.
    #[test]
    fn is_the_published_generator() {
        let mut ids = RequestIds {
            state: [1, 2, 3, 4],
        };
        let got: Vec<u64> = (0..4).map(|_| ids.next_u64()).collect();
        assert_eq!(
            got,
            [
                41_943_041,
                58_720_359,
                3_588_806_011_781_223,
                3_591_011_842_654_386
            ]
        );
    }

    #[test]
    fn digits_are_those_of_the_number() {
        for bits in [0, 1, 0x0123_4567, 0x89ab_cdef, u32::MAX, 0x9a9a_a9a9] {
            assert_eq!(digits(bits), format!("{bits:08x}").as_bytes());
        }
    }

    #[test]
    fn ids_are_hexadecimal_and_do_not_repeat() {
        let mut seen = HashSet::new();
        for _ in 0..8 {
            let mut ids = RequestIds::from_system();
            for _ in 0..1000 {
                let id = ids.next_id();
                assert!(id.iter().all(|byte| b"0123456789abcdef".contains(byte)));
                assert!(seen.insert(id));
            }
        }
    }

    #[test]
    fn only_plain_ids_are_kept() {
        assert!(is_plain(b"0af7651916cd43dd8448eb211c80319c"));
        assert!(is_plain(b"Root=1-67891233-abcdef012345678912345678"));
        assert!(!is_plain(b""));
        assert!(!is_plain(b"a b"));
        assert!(!is_plain(b"a\"b"));
        assert!(!is_plain(&[b'a'; 129]));
    }
}
