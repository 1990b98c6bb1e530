//! The canonical authority of a request, and the config's host patterns.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use crate::bytes::ByteSet;

/// The value of `:authority`: a host and an optional port.
///
/// The host is in lower case and without a trailing dot; an IPv6 address is in brackets and in the
/// form of RFC 5952. It is borrowed if the request has it in this form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority<'r> {
    host: Cow<'r, [u8]>,
    port: Option<u16>,
}

/// A host, or all hosts below a domain, with an optional port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPattern {
    /// The host that must match.
    pub(crate) name: HostName,
    /// The port that the request must have; `None` matches any.
    pub(crate) port: Option<u16>,
}

/// The host part of a pattern, canonical.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum HostName {
    /// One host.
    Exact(Box<str>),
    /// `*.example.com`: one or more labels before this suffix (stored without `*.`).
    Below(Box<str>),
}

/// Why an `:authority` is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The host is empty.
    #[error("the host is empty")]
    Empty,
    /// Longer than 253 bytes (RFC 1035 §2.3.4).
    #[error("the host is longer than 253 bytes")]
    TooLong,
    /// The port is not a number up to 65535.
    #[error("the port is not a number up to 65535")]
    Port,
    /// An empty label, as in `a..b`.
    #[error("the host has an empty label")]
    EmptyLabel,
    /// A byte other than a letter, a digit, `-`, `_` or `.`.
    #[error("the host has a character other than letters, digits, '-', '_' and '.'")]
    Character,
    /// `[…]` without a valid IPv6 address.
    #[error("the brackets do not hold an IPv6 address")]
    Ipv6,
}

/// Why a text is not a valid host pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostPatternError {
    /// A lone `*`.
    #[error("\"*\" is not a host pattern: leave `hosts` out to match every host")]
    Everything,
    /// A `*` that is not the whole first label.
    #[error("{0:?}: '*' may only be the whole first label, as in *.example.com")]
    Wildcard(String),
    /// Not a host.
    #[error("{text:?} is not a valid host: {error}; write a name such as shop.example.com")]
    Host {
        /// The text.
        text: String,
        /// What is wrong with it.
        error: HostError,
    },
}

impl<'r> Authority<'r> {
    /// Reads the value of `:authority` (RFC 3986 §3.2, without user information).
    ///
    /// # Errors
    /// A `HostError`
    pub fn parse(authority: &'r [u8]) -> Result<Self, HostError> {
        if authority.first() == Some(&b'[') {
            return ipv6(authority);
        }
        let mut end = authority.len();
        let (mut in_label, mut upper) = (false, false);
        for (index, &byte) in authority.iter().enumerate() {
            match byte {
                byte if LABEL.has(byte) => {
                    in_label = true;
                    upper |= byte.is_ascii_uppercase();
                }
                b'.' if in_label => in_label = false,
                b'.' => return Err(HostError::EmptyLabel),
                b':' => {
                    end = index;
                    break;
                }
                _ => return Err(HostError::Character),
            }
        }
        let (name, port) = authority.split_at_checked(end).unwrap_or_default();
        let port = port.strip_prefix(b":").map(parse_port).transpose()?;
        let name = name.strip_suffix(b".").unwrap_or(name);
        if name.is_empty() {
            return Err(HostError::Empty);
        }
        if name.len() > MAX_LENGTH {
            return Err(HostError::TooLong);
        }
        let host = if upper {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        Ok(Self { host, port })
    }

    /// The canonical host without the port, in ASCII.
    pub fn host(&self) -> &[u8] {
        &self.host
    }

    /// The port, if the request names one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The canonical authority, with the port if `with_port` and if there is one.
    pub(crate) fn to_bytes(&self, with_port: bool) -> Cow<'_, [u8]> {
        match self.port {
            Some(port) if with_port => Cow::Owned(host_and_port(&self.host, port)),
            _ => Cow::Borrowed(&*self.host),
        }
    }
}

/// `host:port`
pub(crate) fn host_and_port(host: &[u8], port: u16) -> Vec<u8> {
    let mut text = host.to_vec();
    text.push(b':');
    text.extend_from_slice(port.to_string().as_bytes());
    text
}

impl HostPattern {
    /// Parses `shop.example.com`, `*.example.com`, `[2001:db8::1]`, each with or without a port as in
    /// `shop.example.com:8443`.
    ///
    /// # Errors
    /// A [`HostPatternError`] with the text.
    pub(crate) fn parse(text: &str) -> Result<Self, HostPatternError> {
        if text == "*" {
            return Err(HostPatternError::Everything);
        }
        let (host, below) = match text.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None => (text, false),
        };
        if host.contains('*') {
            return Err(HostPatternError::Wildcard(text.to_owned()));
        }
        let invalid = |error| HostPatternError::Host {
            text: text.to_owned(),
            error,
        };
        if below && host.starts_with('[') {
            return Err(invalid(HostError::Ipv6));
        }
        let authority = Authority::parse(host.as_bytes()).map_err(invalid)?;
        let port = authority.port;
        // A parsed host is ASCII.
        let name = String::from_utf8(authority.host.into_owned()).unwrap_or_default();
        let name = name.into_boxed_str();
        let name = if below {
            HostName::Below(name)
        } else {
            HostName::Exact(name)
        };
        Ok(Self { name, port })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            HostName::Exact(host) => formatter.write_str(host)?,
            HostName::Below(suffix) => write!(formatter, "*.{suffix}")?,
        }
        match self.port {
            Some(port) => write!(formatter, ":{port}"),
            None => Ok(()),
        }
    }
}

/// The bytes of a label; `_` is in use although RFC 952 does not allow it.
static LABEL: ByteSet = ByteSet::alphanumeric_and(b"-_");

/// RFC 1035 §2.3.4, without the root's dot.
const MAX_LENGTH: usize = 253;

fn parse_port(port: &[u8]) -> Result<u16, HostError> {
    // `u16::from_str` alone would accept a leading plus sign.
    let is_digits = port.iter().all(u8::is_ascii_digit);
    let port = std::str::from_utf8(port).map_err(|_| HostError::Port)?;
    port.parse()
        .ok()
        .filter(|_| is_digits)
        .ok_or(HostError::Port)
}

#[cold]
fn ipv6(authority: &[u8]) -> Result<Authority<'_>, HostError> {
    let text = std::str::from_utf8(authority).map_err(|_| HostError::Character)?;
    let bracketed = text.strip_prefix('[').ok_or(HostError::Ipv6)?;
    let (address, rest) = bracketed.split_once(']').ok_or(HostError::Ipv6)?;
    let port = match rest.strip_prefix(':') {
        Some(port) => Some(parse_port(port.as_bytes())?),
        None if rest.is_empty() => None,
        None => return Err(HostError::Character),
    };
    let address: Ipv6Addr = address.parse().map_err(|_| HostError::Ipv6)?;
    let canonical = format!("[{address}]");
    let host = match text.strip_suffix(rest) {
        Some(same) if same == canonical => Cow::Borrowed(same.as_bytes()),
        _ => Cow::Owned(canonical.into_bytes()),
    };
    Ok(Authority { host, port })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Result<String, HostError> {
        let authority = Authority::parse(text.as_bytes())?;
        Ok(String::from_utf8(authority.host().to_vec()).unwrap())
    }

    #[test]
    fn case_port_and_one_trailing_dot_are_ignored() {
        for text in [
            "shop.example.com",
            "SHOP.Example.com",
            "shop.example.com:443",
            "shop.example.com.",
            "Shop.example.com.:8080",
        ] {
            assert_eq!(canonical(text).as_deref(), Ok("shop.example.com"), "{text}");
        }
    }

    #[test]
    fn ipv6_addresses_are_canonical_and_in_brackets() {
        for text in ["[2001:db8::a]", "[2001:DB8:0:0::A]", "[2001:db8::a]:443"] {
            assert_eq!(canonical(text).as_deref(), Ok("[2001:db8::a]"), "{text}");
        }
        for text in ["[::1", "[]", "[::g]", "[fe80::1%25eth0]", "[1.2.3.4]"] {
            assert_eq!(canonical(text), Err(HostError::Ipv6), "{text}");
        }
        assert_eq!(canonical("[::1]x"), Err(HostError::Character));
        assert_eq!(canonical("[::1]:"), Err(HostError::Port));
    }

    #[test]
    fn a_canonical_host_is_borrowed() {
        for text in ["a.example", "a.example:80", "[::1]", "[::1]:80", "10.0.0.1"] {
            let authority = Authority::parse(text.as_bytes()).unwrap();
            assert!(matches!(authority.host, Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn invalid_hosts_are_rejected() {
        for (text, error) in [
            ("", HostError::Empty),
            (":80", HostError::Empty),
            (".", HostError::EmptyLabel),
            (".a", HostError::EmptyLabel),
            ("a..b", HostError::EmptyLabel),
            ("a..", HostError::EmptyLabel),
            ("a:", HostError::Port),
            ("a:x", HostError::Port),
            ("a:+80", HostError::Port),
            ("a:65536", HostError::Port),
            ("a:80:80", HostError::Port),
            ("::1", HostError::Port),
            ("u@a", HostError::Character),
            ("a b", HostError::Character),
            ("a/b", HostError::Character),
            ("a,b", HostError::Character),
            ("b\u{fc}cher.example", HostError::Character),
            ("a%2eb", HostError::Character),
        ] {
            assert_eq!(canonical(text), Err(error), "{text}");
        }
        assert_eq!(canonical(&"a".repeat(254)), Err(HostError::TooLong));
        assert_eq!(Authority::parse(b"a\xff"), Err(HostError::Character));
    }

    #[test]
    fn invalid_patterns_are_rejected() {
        assert_eq!(HostPattern::parse("*"), Err(HostPatternError::Everything));
        for text in ["*x", "*example.com", "a.*.b", "a.*", "*.*", "*.*.a"] {
            assert_eq!(
                HostPattern::parse(text),
                Err(HostPatternError::Wildcard(text.to_owned()))
            );
        }
        for text in ["", "*.", "*.[::1]", "a..b", "a/b", "a:x", "a:", "a:99999"] {
            assert!(matches!(
                HostPattern::parse(text),
                Err(HostPatternError::Host { .. })
            ));
        }
    }

    #[test]
    fn a_port_is_kept_as_a_number() {
        for (text, port, canonical) in [
            (
                "Shop.example.com.:08443",
                Some(8443),
                "shop.example.com:8443",
            ),
            ("[2001:db8:0::1]:443", Some(443), "[2001:db8::1]:443"),
            ("shop.example.com", None, "shop.example.com"),
        ] {
            let authority = Authority::parse(text.as_bytes()).unwrap();
            assert_eq!(authority.port(), port, "{text}");
            assert_eq!(*authority.to_bytes(true), *canonical.as_bytes(), "{text}");
            let host = canonical.rsplit_once(":").filter(|_| port.is_some());
            let host = host.map_or(canonical, |(host, _)| host);
            assert_eq!(*authority.to_bytes(false), *host.as_bytes(), "{text}");
        }
        let pattern = HostPattern::parse("*.Example.com.:8443").unwrap();
        assert_eq!(pattern.to_string(), "*.example.com:8443");
    }

    proptest! {
        #[test]
        fn canonical_form_is_stable(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(authority) = Authority::parse(&bytes) {
                let canonical = authority.to_bytes(true);
                prop_assert_eq!(Authority::parse(&canonical), Ok(authority.clone()));
            }
        }
    }
}
