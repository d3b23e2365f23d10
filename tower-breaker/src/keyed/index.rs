//! A table from hashes to the places of entries: open addressing with linear probing, and deletion by shifting back (Knuth, *The Art of
//! Computer Programming*, volume 3, section 6.4, algorithms L and R).
//!
//! The standard library's table would do, but a look-up in it reads two cache lines that hold nothing else. Here it is one word of one.
//! Its lower bits, as many as tell the words apart, are the place plus one; the others are the upper ones of the hash. Zero is a free word. At
//! most half of the words are in use, so that there are always enough bits. Words are small so that the tables of thousands of entries
//! stay in the cache that is nearest but one, while the entries do not.

pub(super) struct Index {
    // As many as a power of two.
    words: Box<[u32]>,
}

const FEWEST: usize = 8;

impl Index {
    pub(super) fn new() -> Self {
        Self::with_words(FEWEST)
    }

    fn with_words(words: usize) -> Self {
        Self {
            words: vec![0; words].into(),
        }
    }

    fn mask(&self) -> usize {
        self.words.len() - 1
    }

    /// The first place with this hash for which `is_it`; also asked for some with another hash.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let mut at = hash as usize & self.mask();
        loop {
            let word = self.words[at];
            let place = self.place(word)?;
            if self.has_hash(word, hash) && is_it(place) {
                return Some(place);
            }
            at = (at + 1) & self.mask();
        }
    }

    // Of an entry. `None`: the word is free.
    #[inline]
    fn place(&self, word: u32) -> Option<usize> {
        (word as usize & self.mask()).checked_sub(1)
    }

    // Whether it is, as far as it goes, this hash.
    #[inline]
    fn has_hash(&self, word: u32, hash: u64) -> bool {
        (word ^ (hash >> 32) as u32) & !(self.mask() as u32) == 0
    }

    fn word(&self, hash: u64, place: usize) -> u32 {
        let mask = self.mask() as u32;
        // No more than half of the words are in use, so that the place plus one is no greater than the mask.
        (hash >> 32) as u32 & !mask | (place as u32 + 1)
    }

    /// Enters a place. `hash_of` gives the hash of each of those that are there: the places below it.
    pub(super) fn insert(&mut self, hash: u64, place: usize, hash_of: impl Fn(usize) -> u64) {
        if 2 * (place + 1) > self.words.len() {
            *self = Self::with_words(2 * self.words.len());
            for place in 0..place {
                self.put(hash_of(place), place);
            }
        }
        self.put(hash, place);
    }

    fn put(&mut self, hash: u64, place: usize) {
        let mut at = hash as usize & self.mask();
        while self.words[at] != 0 {
            at = (at + 1) & self.mask();
        }
        self.words[at] = self.word(hash, place);
    }

    // Where the word of a place is.
    fn seek(&self, hash: u64, place: usize) -> Option<usize> {
        let mut at = hash as usize & self.mask();
        while self.words[at] != 0 {
            if self.words[at] == self.word(hash, place) {
                return Some(at);
            }
            at = (at + 1) & self.mask();
        }
        None
    }

    /// Lets the hash of one place lead to another.
    pub(super) fn move_place(&mut self, hash: u64, from: usize, to: usize) {
        if let Some(at) = self.seek(hash, from) {
            self.words[at] = self.word(hash, to);
        }
    }

    /// Takes a place out. `hash_of` gives the hash of every place that is there.
    pub(super) fn remove(&mut self, hash: u64, place: usize, hash_of: impl Fn(usize) -> u64) {
        let Some(mut free) = self.seek(hash, place) else {
            return;
        };
        let mut at = free;
        loop {
            at = (at + 1) & self.mask();
            let Some(place) = self.place(self.words[at]) else {
                break;
            };
            // It may move back to where it wanted to be, but no further.
            let wanted = hash_of(place) as usize & self.mask();
            let moves_back =
                (at.wrapping_sub(wanted) & self.mask()) >= (at.wrapping_sub(free) & self.mask());
            if moves_back {
                self.words[free] = self.words[at];
                free = at;
            }
        }
        self.words[free] = 0;
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_never_more_than_half_full_and_no_larger_than_that_takes() {
        let mut index = Index::new();
        let hash_of = |place: usize| place as u64;
        for place in 0..100 {
            index.insert(hash_of(place), place, hash_of);
            let entries = place + 1;
            let words = (2 * entries).next_power_of_two().max(FEWEST);
            assert_eq!(index.words.len(), words, "{entries} entries");
        }
    }

    proptest! {
        // Few hashes, many of which want the same word, or the last, from where they go on at the first.
        #[test]
        fn it_finds_what_a_plain_list_has(steps in prop::collection::vec((any::<bool>(), 0_usize..40), 0..200)) {
            let hashes: Vec<u64> = (0..40).map(|key: u64| ((key % 5) << 32) | (key % 7 * 5)).collect();
            let mut index = Index::new();
            // The keys, at their places.
            let mut list: Vec<usize> = Vec::new();
            for (insert, key) in steps {
                let place = list.iter().position(|&there| there == key);
                match place {
                    None if insert => {
                        index.insert(hashes[key], list.len(), |place| hashes[list[place]]);
                        list.push(key);
                    }
                    Some(place) if !insert => {
                        index.remove(hashes[key], place, |place| hashes[list[place]]);
                        let last = list.len() - 1;
                        if place != last {
                            index.move_place(hashes[list[last]], last, place);
                        }
                        list.swap_remove(place);
                    }
                    _ => {}
                }
                for (key, &hash) in hashes.iter().enumerate() {
                    let found = index.find(hash, |place| list[place] == key);
                    prop_assert_eq!(found, list.iter().position(|&there| there == key));
                }
            }
        }
    }
}
