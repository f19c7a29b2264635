//! A Bloom filter: says of most hashes that they are not in a run, without looking there.

use crate::store::identity::IdentityHash;

/// All bits of one hash are in one block, so that asking costs one cache line.
const BLOCK_WORDS: usize = 8;
/// 16 bits for each hash and 7 of them set: about one in 500 that are not there may be there.
const BITS_PER_HASH: usize = 16;
const BITS_SET: usize = 7;

/// See the module's words. What was added may be there; what may not be there was not added.
pub(super) struct Filter(Vec<u64>);

impl Filter {
    /// An empty one for so many hashes.
    pub(super) fn for_hashes(count: usize) -> Self {
        let blocks = (count * BITS_PER_HASH).div_ceil(BLOCK_WORDS * 64).max(1);
        Self(vec![0; blocks * BLOCK_WORDS])
    }

    /// From what [`Filter::to_bytes`] gave; `None` when it cannot have.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let whole = rest.is_empty() && !words.is_empty() && words.len() % BLOCK_WORDS == 0;
        whole.then(|| Self(words.iter().map(|word| u64::from_le_bytes(*word)).collect()))
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(super) fn add(&mut self, hash: IdentityHash) {
        let (which, bits) = halves(hash);
        let block = self.block(which);
        for bit in places(bits) {
            self.0[block + bit / 64] |= 1 << (bit % 64);
        }
    }

    pub(super) fn may_hold(&self, hash: IdentityHash) -> bool {
        let (which, bits) = halves(hash);
        let block = self.block(which);
        places(bits).all(|bit| self.0[block + bit / 64] & (1 << (bit % 64)) != 0)
    }

    /// Where the block begins: `which`, as a part of all 64-bit numbers, of all blocks. (Every
    /// submission asks every run thrice, and a division takes as long as all the rest.)
    fn block(&self, which: u64) -> usize {
        let blocks = (self.0.len() / BLOCK_WORDS) as u128;
        ((u128::from(which) * blocks) >> 64) as usize * BLOCK_WORDS
    }
}

/// The hashes are uniform already: half of one says which block, the other which bits.
fn halves(hash: IdentityHash) -> (u64, u64) {
    let whole = u128::from_le_bytes(*hash.as_bytes());
    ((whole >> 64) as u64, whole as u64)
}

/// Nine bits say a place in a block of 512.
fn places(bits: u64) -> impl Iterator<Item = usize> {
    (0..BITS_SET).map(move |n| (bits >> (9 * n)) as usize % (BLOCK_WORDS * 64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hashes() -> impl Strategy<Value = Vec<[u8; 16]>> {
        proptest::collection::vec(any::<[u8; 16]>(), 1..2000)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

        #[test]
        fn what_was_added_may_be_there(hashes in hashes(), others in hashes()) {
            let mut filter = Filter::for_hashes(hashes.len());
            for hash in &hashes {
                filter.add(IdentityHash::from_bytes(*hash));
            }
            let filter = Filter::from_bytes(&filter.to_bytes()).expect("its own bytes");
            for hash in &hashes {
                prop_assert!(filter.may_hold(IdentityHash::from_bytes(*hash)));
            }
            let wrong = others.iter().filter(|hash| filter.may_hold(IdentityHash::from_bytes(**hash)));
            prop_assert!(wrong.count() <= 4 + others.len() / 100);
        }
    }

    #[test]
    fn other_bytes_are_no_filter() {
        assert!(Filter::from_bytes(&[]).is_none());
        assert!(Filter::from_bytes(&[0; 65]).is_none());
        assert!(Filter::from_bytes(&[0; 64]).is_some());
    }
}
