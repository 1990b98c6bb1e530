//! A small hash for tables whose keys all come from the config.
//!
//! It is not seeded: a request can only choose what is looked up, never what is stored, so it cannot
//! make a lookup longer than the config's own keys do. And a load is the same on every VM.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A set with that hash.
pub(crate) type ConfigSet<K> = HashSet<K, BuildHasherDefault<ConfigHasher>>;

/// A map with that hash.
pub(crate) type ConfigMap<K, V> = HashMap<K, V, BuildHasherDefault<ConfigHasher>>;

/// FNV-1a over eight bytes at a time, mixed at the end.
#[derive(Default)]
pub(crate) struct ConfigHasher(u64);

const PRIME: u64 = 0x9E37_79B9_7F4A_7C15;

impl ConfigHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(PRIME).rotate_left(29);
    }
}

impl Hasher for ConfigHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        // What is left, in two halves that may overlap; the length tells apart what they make the same.
        let (left, right) = match (rest.first_chunk(), rest.last_chunk()) {
            (Some(left), Some(right)) => (u32::from_le_bytes(*left), u32::from_le_bytes(*right)),
            _ => rest.iter().fold((0, 0), |(left, right), byte| {
                (left << 8 | u32::from(*byte), right)
            }),
        };
        let length = (bytes.len() as u64) << 56;
        self.add(u64::from(left) << 32 ^ u64::from(right) ^ length);
    }

    fn write_u8(&mut self, value: u8) {
        self.add(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.add(u64::from(value));
    }

    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(PRIME);
        mixed ^ (mixed >> 29)
    }
}
