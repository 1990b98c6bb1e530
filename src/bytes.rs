//! Looking at bytes, at a speed that wasm32 does not give by itself.

/// Whether both are the same. For what is no secret: it takes the longer the more they agree.
///
/// `==` means the same; but on wasm32 it looks at one byte after the other, and a token has a thousand.
pub(crate) fn equal(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
    match (left.last_chunk(), right.last_chunk()) {
        // The end first, since tokens and names differ there sooner than at their beginning.
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

/// A set of bytes.
pub(crate) struct ByteSet([bool; 256]);

impl ByteSet {
    /// These bytes.
    // For statics: the compiler evaluates it, and an index out of range fails the build.
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

    /// The ASCII letters and digits, and `others`.
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

    /// Whether all of these bytes are in it.
    pub(crate) fn has_all(&self, bytes: &[u8]) -> bool {
        bytes.iter().all(|byte| self.has(*byte))
    }

    /// Whether a byte is in it.
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
        fn it_is_what_slices_mean_by_equal(
            left in proptest::collection::vec(0..2_u8, 0..20),
            right in proptest::collection::vec(0..2_u8, 0..20),
        ) {
            prop_assert_eq!(equal(&left, &right), left == right);
            prop_assert!(equal(&left, &left.clone()));
        }

        #[test]
        fn one_byte_makes_the_difference(
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
