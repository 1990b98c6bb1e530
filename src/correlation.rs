//! One correlation ID for a request, from the edge's log to the mesh's.
//!
//! The signed claim of a verified token wins; else the first accepted header that is well-formed;
//! else a new UUIDv7 (RFC 9562 §5.7). No decision ever depends on it.

use std::rc::Rc;

use crate::bytes::{self, ByteSet};
use crate::claims::ClaimPath;
use crate::header_name::HeaderName;
use crate::headers::SingleHeader;

/// Where correlation IDs are read and written: the config's `correlation`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The request header that carries the ID to the upstream.
    pub header: HeaderName,
    /// The claim that carries the signed ID.
    pub claim: Option<ClaimPath>,
    /// The request headers that are believed, in order, where no signed ID is there.
    pub accept: Vec<HeaderName>,
    /// Whether responses carry the header too.
    pub response_header: bool,
}

/// Where an ID comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The claim of a verified token.
    Signed,
    /// A header of the request.
    Header,
    /// Made here.
    Generated,
}

/// A correlation ID: 1 to 128 characters of `A-Za-z0-9._:-`, so that it can stand raw in any log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrelationId {
    text: Rc<str>,
    source: Source,
}

impl Source {
    /// `signed`, `header` or `generated`: how logs show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Header => "header",
            Self::Generated => "generated",
        }
    }
}

impl CorrelationId {
    /// The ID of a verified token, where its claim holds a well-formed one.
    pub(crate) fn signed(claim: Option<&str>) -> Option<Self> {
        Some(Self {
            text: well_formed(claim?.as_bytes())?.into(),
            source: Source::Signed,
        })
    }

    /// The first well-formed ID in the accepted headers, in their order. A header that stands more than
    /// once is not believed: which one would the edge have meant?
    pub(crate) fn from_headers<'a>(
        accepted: impl IntoIterator<Item = SingleHeader<'a>>,
    ) -> Option<Self> {
        let text = accepted
            .into_iter()
            .find_map(|sent| well_formed(sent.one()?))?;
        Some(Self {
            text: text.into(),
            source: Source::Header,
        })
    }

    /// Whether a header is there and holds no ID, or stands more than once: no log and no upstream is to
    /// see it.
    pub(crate) fn is_malformed(sent: SingleHeader<'_>) -> bool {
        match sent {
            SingleHeader::Missing => false,
            SingleHeader::One(value) => well_formed(value).is_none(),
            SingleHeader::Multiple => true,
        }
    }

    /// A new UUIDv7 from a time in milliseconds since 1970 and ten random bytes.
    pub(crate) fn generate(milliseconds: u64, random: [u8; 10]) -> Self {
        let uuid = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid();
        Self {
            text: uuid.hyphenated().to_string().into(),
            source: Source::Generated,
        }
    }

    /// The ID.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a header stands once and holds this ID.
    pub(crate) fn is_sent_as(&self, sent: SingleHeader<'_>) -> bool {
        let value = sent.one();
        value.is_some_and(|value| bytes::equal(self.text.as_bytes(), value))
    }

    /// The ID, shared.
    pub(crate) fn shared(&self) -> Rc<str> {
        Rc::clone(&self.text)
    }

    /// Where it comes from.
    pub(crate) const fn source(&self) -> Source {
        self.source
    }
}

/// The text of an ID that may go into logs and headers as it is.
pub(crate) fn well_formed(bytes: &[u8]) -> Option<&str> {
    static LETTERS: ByteSet = ByteSet::alphanumeric_and(b"._:-");
    let fits = (1..=128).contains(&bytes.len()) && LETTERS.has_all(bytes);
    std::str::from_utf8(bytes).ok().filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_well_formed_header_wins() {
        let sent = [
            SingleHeader::One(b"bad id"),
            SingleHeader::Missing,
            SingleHeader::One(b"second"),
            SingleHeader::One(b"third"),
        ];
        let id = CorrelationId::from_headers(sent).unwrap();
        assert_eq!((id.as_str(), id.source()), ("second", Source::Header));
        assert!(id.is_sent_as(SingleHeader::One(b"second")));
        for other in [
            SingleHeader::One(b"third"),
            SingleHeader::Multiple,
            SingleHeader::Missing,
        ] {
            assert!(!id.is_sent_as(other), "{other:?}");
        }
    }

    #[test]
    fn hostile_ids_are_not_ids() {
        let long = "a".repeat(129);
        let hostile: [&[u8]; 8] = [
            b"",
            b"a b",
            b"a\nb",
            b"\"",
            b"\x1b[31m",
            b"\xff",
            b"a%0a",
            long.as_bytes(),
        ];
        for id in hostile {
            assert_eq!(well_formed(id), None, "{id:?}");
        }
        assert!(well_formed("a".repeat(128).as_bytes()).is_some());
        assert!(well_formed(b"Az09._:-").is_some());
    }

    #[test]
    fn a_header_that_holds_no_id_or_stands_twice_is_malformed_and_not_believed() {
        for sent in [SingleHeader::Missing, SingleHeader::One(b"good")] {
            assert!(!CorrelationId::is_malformed(sent), "{sent:?}");
        }
        for sent in [
            SingleHeader::One(b"not good"),
            SingleHeader::One(b""),
            SingleHeader::Multiple,
        ] {
            assert!(CorrelationId::is_malformed(sent), "{sent:?}");
            assert_eq!(CorrelationId::from_headers([sent]), None, "{sent:?}");
        }
    }

    #[test]
    fn a_generated_id_is_a_uuid_of_version_7_with_its_time_in_front() {
        let id = CorrelationId::generate(0x0123_4567_89ab, [0xff; 10]);
        assert_eq!(id.as_str(), "01234567-89ab-7fff-bfff-ffffffffffff");
        assert_eq!(well_formed(id.as_str().as_bytes()), Some(id.as_str()));
    }
}
