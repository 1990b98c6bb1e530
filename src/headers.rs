//! Request headers as the host hands them over: every instance of every header, as raw bytes.

use crate::bytes::ByteSet;
use crate::policy::access::HeaderSource;

/// The headers of one request, borrowed from the host's buffer. Values are bytes: HTTP lets them be
/// anything (RFC 9110 §5.5), and a header that is not UTF-8 must not trap a worker.
#[derive(Debug, Clone, Default)]
pub struct Headers<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Headers<'a> {
    /// Reads the Proxy-Wasm serialisation of a header map: a count, the sizes of each name and value
    /// (32 bits, little endian), then names and values, each with a NUL behind it.
    ///
    /// `None` where the buffer does not hold what it announces.
    #[must_use]
    pub fn from_wire(buffer: &'a [u8]) -> Option<Self> {
        let (count, mut sizes) = split_u32(buffer)?;
        let sizes_len = count.checked_mul(8)?;
        let mut rest = sizes.get(sizes_len..)?;
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let (name_len, after) = split_u32(sizes)?;
            let (value_len, after) = split_u32(after)?;
            sizes = after;
            let name = rest.get(..name_len)?;
            rest = rest.get(name_len.checked_add(1)?..)?;
            let value = rest.get(..value_len)?;
            rest = rest.get(value_len.checked_add(1)?..)?;
            pairs.push((name, value));
        }
        Some(Self(pairs))
    }

    /// All headers, names in lower case as Envoy keeps them, pseudo-headers included.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.0.iter().copied()
    }

    /// Every value of a header, in order.
    pub fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a [u8]> + 'b {
        self.iter()
            .filter(move |(key, _)| *key == name.as_bytes())
            .map(|(_, value)| value)
    }

    /// The first value of a header.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }
}

impl HeaderSource for Headers<'_> {
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.all(name).for_each(visit);
    }
}

impl<'a> FromIterator<(&'a [u8], &'a [u8])> for Headers<'a> {
    fn from_iter<T: IntoIterator<Item = (&'a [u8], &'a [u8])>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Headers<'a> {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(pairs: T) -> Self {
        pairs
            .into_iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect()
    }
}

/// Whether the bytes are a token (RFC 9110 §5.6.2), as every method and every header name is.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    static LETTERS: ByteSet = ByteSet::alphanumeric_and(b"!#$%&'*+-.^_`|~");
    !bytes.is_empty() && LETTERS.has_all(bytes)
}

fn split_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*head)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut bytes = u32::try_from(pairs.len()).unwrap().to_le_bytes().to_vec();
        for part in pairs
            .iter()
            .flat_map(|(name, value)| [name.len(), value.len()])
        {
            bytes.extend(u32::try_from(part).unwrap().to_le_bytes());
        }
        for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
            bytes.extend_from_slice(part);
            bytes.push(0);
        }
        bytes
    }

    #[test]
    fn repeated_empty_and_non_utf8_values_survive() {
        let bytes = wire(&[(b"a", b"1"), (b"a", b""), (b"b", b"\xff\x00"), (b"", b"")]);
        let headers = Headers::from_wire(&bytes).unwrap();
        assert_eq!(headers.all("a").collect::<Vec<_>>(), [b"1".as_slice(), b""]);
        assert_eq!(headers.first("b"), Some(b"\xff\x00".as_slice()));
        assert_eq!(headers.iter().count(), 4);
    }

    #[test]
    fn a_buffer_that_is_cut_short_is_refused_at_every_length() {
        let bytes = wire(&[(b"a", b"1"), (b"bc", b"23")]);
        for len in 0..bytes.len() {
            assert!(
                Headers::from_wire(bytes.get(..len).unwrap()).is_none(),
                "{len}"
            );
        }
        assert!(Headers::from_wire(&u32::MAX.to_le_bytes()).is_none());
    }
}
