//! HTTP headers: every instance of every header, as raw bytes.

/// Name and value of one header. Values are bytes, because they need not be UTF-8 (RFC 9110 §5.5).
pub type Header<'a> = (&'a [u8], &'a [u8]);

/// The headers of one message, in order, pseudo-headers included. Names are in lower case, as Envoy
/// provides them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a>(&'a [Header<'a>]);

/// The instances of a header that a request should have at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SingleHeader<'a> {
    /// The request does not have it.
    Missing,
    /// The request has it once, with this value.
    One(&'a [u8]),
    /// The request has it more than once.
    Multiple,
}

impl<'a> Headers<'a> {
    /// Wraps a list of headers.
    pub fn new(list: &'a [Header<'a>]) -> Self {
        Self(list)
    }

    /// All headers.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        self.0.iter().copied()
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

impl<'a> SingleHeader<'a> {
    /// Adds one more instance of the header.
    pub(crate) fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Missing => Self::One(value),
            Self::One(_) | Self::Multiple => Self::Multiple,
        };
    }

    /// The value, if there is exactly one.
    pub(crate) fn one(self) -> Option<&'a [u8]> {
        match self {
            Self::One(value) => Some(value),
            Self::Missing | Self::Multiple => None,
        }
    }
}
