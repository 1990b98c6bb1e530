//! Header maps in the serialization of the Proxy-Wasm ABI: a count, the sizes of each name and value (32 bits
//! each, little endian), then the names and values, each followed by a NUL.

use smallvec::SmallVec;

use crate::headers::Header;

type List<'a> = SmallVec<[Header<'a>; 32]>;

/// Parses a serialized header map; `None` if the buffer is too short.
pub(super) fn parse(buffer: &[u8]) -> Option<List<'_>> {
    let (count, rest) = buffer.split_first_chunk::<4>()?;
    let count = u32::from_le_bytes(*count) as usize;
    let (sizes, mut text) = rest.split_at_checked(count.checked_mul(8)?)?;
    let (sizes, _) = sizes.as_chunks::<8>();
    let mut list = List::new();
    for [a, b, c, d, e, f, g, h] in sizes {
        let (name, rest) = split(text, [*a, *b, *c, *d])?;
        let (value, rest) = split(rest, [*e, *f, *g, *h])?;
        list.push((name, value));
        text = rest;
    }
    Some(list)
}

/// Splits off a text of this size and the NUL after it.
fn split(text: &[u8], size: [u8; 4]) -> Option<(&[u8], &[u8])> {
    let (text, rest) = text.split_at_checked(u32::from_le_bytes(size) as usize)?;
    Some((text, rest.get(1..)?))
}

pub(super) fn serialize(headers: &[(String, String)]) -> Vec<u8> {
    let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let (mut sizes, mut text) = (Vec::new(), Vec::new());
    for part in headers.iter().flat_map(|(name, value)| [name, value]) {
        sizes.extend(size(part.len()));
        text.extend_from_slice(part.as_bytes());
        text.push(0);
    }
    [size(headers.len()).to_vec(), sizes, text].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"\x02\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0ab\0c\0d\0\0";

    #[test]
    fn serialization_matches_the_abi() {
        let headers = [("ab".to_owned(), "c".to_owned()), ("d".into(), "".into())];
        assert_eq!(serialize(&headers), TWO);
        let parsed = parse(TWO).unwrap();
        assert_eq!(
            parsed.as_slice(),
            [(b"ab".as_slice(), b"c".as_slice()), (b"d", b"")]
        );
    }

    #[test]
    fn repeated_empty_and_non_utf8_values_survive() {
        let bytes =
            b"\x03\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a\0\xff\0\0a\0\0\0\0";
        let parsed = parse(bytes).unwrap();
        let expected: [Header<'_>; 3] = [(b"a", b"\xff\0"), (b"a", b""), (b"", b"")];
        assert_eq!(parsed.as_slice(), expected);
    }

    #[test]
    fn a_truncated_buffer_is_rejected_at_every_length() {
        for len in 0..TWO.len() {
            assert!(parse(TWO.get(..len).unwrap()).is_none(), "{len}");
        }
        assert!(parse(&u32::MAX.to_le_bytes()).is_none());
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        bytes.extend([0xff; 16]);
        bytes.extend([0; 64]);
        assert!(parse(&bytes).is_none());
    }
}
