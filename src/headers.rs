//! Request headers as the host hands them over: every instance of every header, as raw bytes.

use crate::bytes::ByteSet;
use crate::policy::access::HeaderSource;

/// The headers of one request, read where the host wrote them. Values are bytes: HTTP lets them be
/// anything (RFC 9110 §5.5), and a header that is not UTF-8 must not trap a worker.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a> {
    /// The sizes of each name and value (32 bits each, little endian).
    sizes: &'a [[u8; 8]],
    /// Names and values, each with a NUL behind it; as long as the sizes say, at least.
    text: &'a [u8],
}

/// What a request has of a header that is to stand once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent<'a> {
    /// It is not there.
    Absent,
    /// It is there once, with this value.
    Once(&'a [u8]),
    /// It is there more than once: nobody can tell which one is meant.
    Repeated,
}

/// Headers, written in the same form.
#[derive(Debug, Clone)]
pub struct HeaderBuffer(Vec<u8>);

impl<'a> Headers<'a> {
    /// Reads the Proxy-Wasm serialisation of a header map: a count, the sizes of each name and value
    /// (32 bits, little endian), then names and values, each with a NUL behind it.
    ///
    /// `None` where the buffer does not hold what it announces.
    pub fn from_wire(buffer: &'a [u8]) -> Option<Self> {
        let (count, rest) = buffer.split_first_chunk::<4>()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let (sizes, text) = rest.split_at_checked(count.checked_mul(8)?)?;
        let (sizes, _) = sizes.as_chunks();
        let mut needed = 0_usize;
        for pair in sizes {
            let (name, value) = lengths(*pair);
            needed = needed
                .checked_add(name)?
                .checked_add(value)?
                .checked_add(2)?;
        }
        (needed <= text.len()).then_some(Self { sizes, text })
    }

    /// All headers, names in lower case as Envoy keeps them, pseudo-headers included.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut text = self.text;
        self.sizes.iter().map_while(move |pair| {
            let (name, value) = lengths(*pair);
            let (name, rest) = text.split_at_checked(name)?;
            let (value, rest) = rest.get(1..)?.split_at_checked(value)?;
            text = rest.get(1..)?;
            Some((name, value))
        })
    }

    /// Every value of a header, in order.
    pub fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a [u8]> + 'b {
        self.iter()
            .filter(move |(key, _)| *key == name.as_bytes())
            .map(|(_, value)| value)
    }

    /// The first value of a header.
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }
}

impl<'a> Sent<'a> {
    /// With one more instance of the header.
    pub(crate) fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }

    /// Its value, where it stands once.
    pub(crate) fn once(self) -> Option<&'a [u8]> {
        match self {
            Self::Once(value) => Some(value),
            Self::Absent | Self::Repeated => None,
        }
    }
}

impl HeaderSource for Headers<'_> {
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.all(name).for_each(visit);
    }
}

impl HeaderBuffer {
    /// As the host reads them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// To read them.
    pub fn headers(&self) -> Headers<'_> {
        Headers::from_wire(&self.0).unwrap_or_default()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for HeaderBuffer {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        let (mut count, mut sizes, mut text) = (0_usize, Vec::new(), Vec::new());
        for (name, value) in pairs {
            count = count.saturating_add(1);
            for part in [name.as_ref(), value.as_ref()] {
                sizes.extend(size(part.len()));
                text.extend_from_slice(part);
                text.push(0);
            }
        }
        Self([size(count).to_vec(), sizes, text].concat())
    }
}

/// Whether the bytes are a token (RFC 9110 §5.6.2), as every method and every header name is.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    static LETTERS: ByteSet = ByteSet::alphanumeric_and(b"!#$%&'*+-.^_`|~");
    !bytes.is_empty() && LETTERS.has_all(bytes)
}

/// Of a name and a value.
fn lengths([a, b, c, d, e, f, g, h]: [u8; 8]) -> (usize, usize) {
    let number = |bytes| u32::from_le_bytes(bytes) as usize;
    (number([a, b, c, d]), number([e, f, g, h]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_empty_and_non_utf8_values_survive() {
        let buffer: HeaderBuffer = [
            ("a", b"1".as_slice()),
            ("a", b""),
            ("b", b"\xff\x00"),
            ("", b""),
        ]
        .into_iter()
        .collect();
        let headers = buffer.headers();
        assert_eq!(headers.all("a").collect::<Vec<_>>(), [b"1".as_slice(), b""]);
        assert_eq!(headers.first("b"), Some(b"\xff\x00".as_slice()));
        assert_eq!(headers.iter().count(), 4);
    }

    #[test]
    fn a_buffer_that_is_cut_short_is_refused_at_every_length() {
        let HeaderBuffer(bytes) = [("a", "1"), ("bc", "23")].into_iter().collect();
        for len in 0..bytes.len() {
            assert!(
                Headers::from_wire(bytes.get(..len).unwrap()).is_none(),
                "{len}"
            );
        }
        assert!(Headers::from_wire(&u32::MAX.to_le_bytes()).is_none());
        // Sizes whose sum leaves 32 bits behind.
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        bytes.extend([0xff; 16]);
        bytes.extend([0; 64]);
        assert!(Headers::from_wire(&bytes).is_none());
    }

    #[test]
    fn the_serialisation_is_the_one_of_the_abi() {
        let HeaderBuffer(bytes) = [("ab", "c"), ("d", "")].into_iter().collect();
        let expected = b"\x02\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0ab\0c\0d\0\0";
        assert_eq!(bytes, expected);
    }
}
