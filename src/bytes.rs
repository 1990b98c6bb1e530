//! Comparison and classification of bytes, written to be fast on wasm32.

/// Whether both slices are equal. Not for secrets: the time it takes depends on the content.
///
/// Same result as `==`, which compares byte by byte on wasm32; tokens have about a thousand bytes.
pub(crate) fn equal(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
    match (left.last_chunk(), right.last_chunk()) {
        // The end first: tokens and names often share their beginning.
        (Some(left_end), Some(right_end)) => {
            let words = left.as_chunks().0.iter().zip(right.as_chunks().0);
            word(left_end) == word(right_end)
                && words
                    .into_iter()
                    .all(|(left, right)| word(left) == word(right))
        }
        _ => left.iter().zip(right).all(|(left, right)| left == right),
    }
}

pub(crate) struct ByteSet([bool; 256]);

impl ByteSet {
    // Evaluated at compile time, where an index out of range fails the build.
    #[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
    pub(crate) const fn of(bytes: &[u8]) -> Self {
        let mut set = [false; 256];
        let mut index = 0;
        while index < bytes.len() {
            set[bytes[index] as usize] = true;
            index += 1;
        }
        Self(set)
    }

    /// The ASCII letters and digits, plus `others`.
    #[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
    pub(crate) const fn alphanumeric_and(others: &[u8]) -> Self {
        let Self(mut set) = Self::of(others);
        let mut byte = 0_u8;
        while byte < 128 {
            set[byte as usize] |= byte.is_ascii_alphanumeric();
            byte += 1;
        }
        Self(set)
    }

    pub(crate) fn has_all(&self, bytes: &[u8]) -> bool {
        bytes.iter().all(|byte| self.has(*byte))
    }

    pub(crate) fn has(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte)).is_some_and(|has| *has)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equal_agrees_with_slice_equality(
            left in proptest::collection::vec(0..2_u8, 0..20),
            right in proptest::collection::vec(0..2_u8, 0..20),
        ) {
            prop_assert_eq!(equal(&left, &right), left == right);
            prop_assert!(equal(&left, &left.clone()));
        }

        #[test]
        fn slices_that_differ_in_one_byte_are_not_equal(
            bytes in proptest::collection::vec(any::<u8>(), 1..100),
            at in any::<prop::sample::Index>(),
            change in 1..=255_u8,
        ) {
            let mut other = bytes.clone();
            other[at.index(bytes.len())] ^= change;
            prop_assert!(!equal(&bytes, &other));
        }
    }
}
