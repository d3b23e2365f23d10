//! A hash that is the same in every process and every release, so that gateways beside each other, and one after its restart,
//! send the same key to the same endpoint.
//!
//! Multiply and fold, as wyhash does it: two words are multiplied to a double one whose halves are combined. Not for hash tables
//! that strangers fill: they could choose keys that go to the same endpoint, which costs them no less than sending one key.

// Digits of pi and e, as those who design hashes like to show that they have chosen nothing.
const PI: u64 = 0x243f_6a88_85a3_08d3;
const E: u64 = 0xb7e1_5162_8aed_2a6b;

/// Hashes a key.
pub fn hash_key(key: &[u8]) -> u64 {
    let mut state = PI ^ key.len() as u64;
    let mut words = key.chunks_exact(8);
    for word in &mut words {
        // Always of 8 bytes.
        let word = word.try_into().map_or(0, u64::from_le_bytes);
        state = fold(state ^ word, E);
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(words.remainder()) {
        *to = *from;
    }
    mix(state ^ u64::from_le_bytes(last))
}

/// Makes a number into another that looks unrelated to it.
#[inline]
pub(super) fn mix(word: u64) -> u64 {
    let word = fold(word ^ PI, E);
    fold(word ^ E, PI)
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ (wide >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn it_never_changes() {
        let hashes = [&b""[..], b"a", b"/products/42", b"12345678"].map(hash_key);
        assert_eq!(hashes, PUBLISHED);
    }

    const PUBLISHED: [u64; 4] = [
        79_260_605_269_340_283,
        10_247_183_075_907_622_694,
        4_759_052_665_414_145_275,
        4_546_379_214_106_720_357,
    ];

    #[test]
    fn keys_that_are_alike_are_spread_evenly() {
        let mut seen = HashSet::new();
        let mut sixteenths = [0_u32; 16];
        for number in 0..64_000_u32 {
            let hash = hash_key(format!("/products/{number}").as_bytes());
            assert!(seen.insert(hash));
            sixteenths[(hash >> 60) as usize] += 1;
        }
        // Four standard deviations: 4 * sqrt(64,000 / 16).
        for count in sixteenths {
            assert!(count.abs_diff(4_000) < 253, "{sixteenths:?}");
        }
    }

    #[test]
    fn every_byte_and_the_length_count() {
        let keys: [&[u8]; 6] = [b"", b"\0", b"\0\0", b"abcdefgh", b"abcdefgh\0", b"abcdefgi"];
        let hashes: HashSet<u64> = keys.map(hash_key).into_iter().collect();
        assert_eq!(hashes.len(), keys.len());
    }
}
