//! Strict base64url (RFC 4648 §5, RFC 7515 §2): no padding, no whitespace, zero trailing bits.
//!
//! Uses a lookup table, not a constant-time codec, because tokens and key sets are not secret to their
//! sender.

/// Decodes `text`; `None` unless it is a canonical encoding. Each byte string has only one, so that a token
/// cannot be encoded in two ways.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (fours, rest) = text.as_chunks::<4>();
    let whole = fours.len().checked_mul(3)?;
    let mut bytes = Vec::with_capacity(whole.checked_add(2)?);
    bytes.resize(whole, 0);
    let mut seen = 0;
    for (&[a, b, c, d], three) in fours.iter().zip(bytes.as_chunks_mut::<3>().0) {
        let [a, b, c, d] = [value(a), value(b), value(c), value(d)];
        seen |= a | b | c | d;
        *three = [(a << 2) | (b >> 4), (b << 4) | (c >> 2), (c << 6) | d];
    }
    // A value above 63 marks a byte outside the alphabet.
    if seen & !63 != 0 {
        return None;
    }
    match *rest {
        [] => {}
        [a, b] => {
            let [a, b] = [value(a), value(b)];
            if (a | b) & !63 != 0 || b & 0b1111 != 0 {
                return None;
            }
            bytes.push((a << 2) | (b >> 4));
        }
        [a, b, c] => {
            let [a, b, c] = [value(a), value(b), value(c)];
            if (a | b | c) & !63 != 0 || c & 0b11 != 0 {
                return None;
            }
            bytes.extend_from_slice(&[(a << 2) | (b >> 4), (b << 4) | (c >> 2)]);
        }
        _ => return None,
    }
    Some(bytes)
}

/// Encodes bytes without padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(3) {
        let (a, b, c) = match *chunk {
            [a, b, c] => (a, b, c),
            [a, b] => (a, b, 0),
            [a] => (a, 0, 0),
            _ => continue,
        };
        let digits = [a >> 2, (a << 4) | (b >> 4), (b << 2) | (c >> 6), c];
        let count = chunk.len().saturating_add(1);
        let letter = |digit: &u8| {
            ALPHABET
                .get(usize::from(digit & 63))
                .copied()
                .map(char::from)
        };
        text.extend(digits.iter().take(count).filter_map(letter));
    }
    text
}

/// The value of a byte of the alphabet; 255 for any other byte.
fn value(byte: u8) -> u8 {
    VALUES.get(usize::from(byte)).copied().unwrap_or(OTHER)
}

const OTHER: u8 = 255;

const ALPHABET: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const VALUES: [u8; 256] = {
    let mut values = [OTHER; 256];
    let mut index = 0;
    // Evaluated at compile time, where an index out of range or an overflow fails the build.
    #[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
    while index < ALPHABET.len() {
        #[allow(clippy::cast_possible_truncation)]
        {
            values[ALPHABET[index] as usize] = index as u8;
        }
        index += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use ct_codecs::{Base64UrlSafeNoPadding, Decoder, Encoder};
    use proptest::prelude::*;

    use super::{decode, encode};

    #[test]
    fn only_the_canonical_encoding_is_accepted() {
        assert_eq!(decode(b""), Some(vec![]));
        assert_eq!(decode(b"AA"), Some(vec![0]));
        assert_eq!(decode(b"_-8"), Some(vec![0xff, 0xef]));
        for text in [
            "A", "AAAAA", "AB", "A_", "AAB", "AA==", "AAA=", "AA A", " AAAA", "AAAA\n", "AA+A",
            "AA/A", "A\0AA", "ÄÄ",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_ct_codecs(bytes: Vec<u8>, text in "[A-Za-z0-9_=+/ -]{0,24}") {
            let encoded = Base64UrlSafeNoPadding::encode_to_string(&bytes).unwrap();
            prop_assert_eq!(&encode(&bytes), &encoded);
            prop_assert_eq!(decode(encoded.as_bytes()), Some(bytes));
            prop_assert_eq!(
                decode(text.as_bytes()),
                Base64UrlSafeNoPadding::decode_to_vec(&text, None).ok()
            );
        }
    }
}
