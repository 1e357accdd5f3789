//! Sixty-four bits that stand for a state.
//!
//! States are told apart by this alone, so it must mix well, and it is taken at every step, so it must be quick: numbers are
//! gathered into words of eight bytes, and each word is multiplied into the rest, all 128 bits of the product kept by folding
//! (the step of wyhash and of foldhash).

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
};

/// Odd constants without a pattern: digits of pi.
const SEED: u64 = 0x243f_6a88_85a3_08d3;
const FACTOR: u64 = 0x1319_8a2e_0370_7345;

/// A map by hashes that are good enough as they are.
pub type ByHash<V> = HashMap<u64, V, BuildHasherDefault<AsItIs>>;

/// A map by values that are hashed as states are.
pub type Memo<K, V> = HashMap<K, V, BuildHasherDefault<Folding>>;

/// The hash of a state.
#[must_use]
pub fn hash(state: &impl Hash) -> u64 {
    let mut hasher = Folding::default();
    state.hash(&mut hasher);
    hasher.finish()
}

/// See the module's header.
#[derive(Debug)]
pub struct Folding {
    folded: u64,
    /// Numbers that were not multiplied in yet, and how many bits they have.
    word: u64,
    bits: u32,
}

impl Default for Folding {
    fn default() -> Self {
        Self { folded: SEED, word: 0, bits: 0 }
    }
}

impl Folding {
    fn push(&mut self, number: u64, bits: u32) {
        if self.bits + bits > u64::BITS {
            self.folded = fold(self.folded ^ self.word);
            (self.word, self.bits) = (0, 0);
        }
        self.word |= number << self.bits;
        self.bits += bits;
    }
}

fn fold(word: u64) -> u64 {
    let product = u128::from(word) * u128::from(FACTOR);
    product as u64 ^ (product >> u64::BITS) as u64
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.push(u64::from(*byte), u8::BITS));
    }

    fn write_u8(&mut self, number: u8) {
        self.push(u64::from(number), u8::BITS);
    }

    fn write_u32(&mut self, number: u32) {
        self.push(u64::from(number), u32::BITS);
    }

    /// Lengths of arrays and numbers of variants: small.
    fn write_usize(&mut self, number: usize) {
        self.push(number as u64 & 0xff, u8::BITS);
    }

    fn write_isize(&mut self, number: isize) {
        self.push(number as u64 & 0xff, u8::BITS);
    }

    fn finish(&self) -> u64 {
        fold(fold(self.folded ^ self.word) ^ u64::from(self.bits))
    }
}

/// Gives the number that it is given.
#[derive(Debug, Default)]
pub struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0 << u8::BITS | u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
