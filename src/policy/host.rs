//! The host of a request in its one canonical form, and patterns for it.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use crate::bytes::ByteSet;

/// A host without port and trailing dot, in lower case; an IPv6 address in brackets and in the form
/// of RFC 5952. Borrowed where the request already spells it so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CanonicalHost<'r>(Cow<'r, [u8]>);

/// The hosts that a route is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// One host, canonical.
    Exact(Box<str>),
    /// `*.example.com`: one or more labels before this suffix, which is kept without `*.`.
    Below(Box<str>),
}

/// Why an `:authority` is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing before the port.
    #[error("the host is empty")]
    Empty,
    /// Longer than 253 bytes (RFC 1035 §2.3.4).
    #[error("the host is longer than 253 bytes")]
    TooLong,
    /// Not digits up to 65535 behind the colon.
    #[error("the port is none")]
    Port,
    /// An empty label, as in `a..b`.
    #[error("the host has an empty label")]
    EmptyLabel,
    /// A byte that is no letter, digit, `-`, `_` or `.`.
    #[error("the host holds a character that no host has")]
    Character,
    /// `[…]` that holds no IPv6 address.
    #[error("the brackets hold no IPv6 address")]
    Ipv6,
}

/// Why a text is no pattern for hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostPatternError {
    /// A lone `*`.
    #[error("\"*\" is no host pattern: leave `hosts` out to mean every host")]
    Everything,
    /// A `*` that is not the whole first label.
    #[error("{0:?}: '*' may only be the whole first label, as in *.example.com")]
    Wildcard(String),
    /// A port.
    #[error("{0:?} has a port: hosts are compared without it, leave it out")]
    Port(String),
    /// Not a host.
    #[error("{text:?} is no host: {error}; write a name such as shop.example.com")]
    Host {
        /// The text.
        text: String,
        /// What is wrong with it.
        error: HostError,
    },
}

impl<'r> CanonicalHost<'r> {
    /// Reads the value of `:authority` (RFC 3986 §3.2, without user information).
    ///
    /// # Errors
    /// A [`HostError`]: the request is malformed.
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
        if let Some(port) = port.strip_prefix(b":") {
            check_port(port)?;
        }
        let name = name.strip_suffix(b".").unwrap_or(name);
        if name.is_empty() {
            return Err(HostError::Empty);
        }
        if name.len() > MAX_LENGTH {
            return Err(HostError::TooLong);
        }
        Ok(Self(if upper {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        }))
    }

    /// The canonical text, all of it ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn into_text(self) -> Box<str> {
        let text = String::from_utf8(self.0.into_owned());
        text.unwrap_or_default().into_boxed_str()
    }
}

impl HostPattern {
    /// Parses `shop.example.com`, `*.example.com` or `[2001:db8::1]`.
    ///
    /// # Errors
    /// A [`HostPatternError`] with the text.
    pub fn parse(text: &str) -> Result<Self, HostPatternError> {
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
        let after_brackets = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
        if after_brackets.contains(':') {
            return Err(HostPatternError::Port(text.to_owned()));
        }
        let invalid = |error| HostPatternError::Host {
            text: text.to_owned(),
            error,
        };
        if below && host.starts_with('[') {
            return Err(invalid(HostError::Ipv6));
        }
        let canonical = CanonicalHost::parse(host.as_bytes()).map_err(invalid)?;
        let canonical = canonical.into_text();
        Ok(if below {
            Self::Below(canonical)
        } else {
            Self::Exact(canonical)
        })
    }

    /// Whether it covers a host.
    pub fn covers(&self, host: &CanonicalHost<'_>) -> bool {
        let host = host.as_bytes();
        match self {
            Self::Exact(exact) => host == exact.as_bytes(),
            Self::Below(suffix) => host
                .strip_suffix(suffix.as_bytes())
                .and_then(|labels| labels.strip_suffix(b"."))
                .is_some_and(|labels| !labels.is_empty()),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => formatter.write_str(host),
            Self::Below(suffix) => write!(formatter, "*.{suffix}"),
        }
    }
}

/// What a label may hold; `_` is in use, though no hostname has it (RFC 952).
static LABEL: ByteSet = ByteSet::alphanumeric_and(b"-_");

/// RFC 1035 §2.3.4, without the root's dot.
const MAX_LENGTH: usize = 253;

fn check_port(port: &[u8]) -> Result<(), HostError> {
    // `parse` alone would take a leading plus sign.
    let digits = port.iter().all(u8::is_ascii_digit);
    let port = std::str::from_utf8(port).map_err(|_| HostError::Port)?;
    if !digits || port.parse::<u16>().is_err() {
        return Err(HostError::Port);
    }
    Ok(())
}

#[cold]
fn ipv6(authority: &[u8]) -> Result<CanonicalHost<'_>, HostError> {
    let text = std::str::from_utf8(authority).map_err(|_| HostError::Character)?;
    let bracketed = text.strip_prefix('[').ok_or(HostError::Ipv6)?;
    let (address, rest) = bracketed.split_once(']').ok_or(HostError::Ipv6)?;
    match rest.strip_prefix(':') {
        Some(port) => check_port(port.as_bytes())?,
        None if rest.is_empty() => {}
        None => return Err(HostError::Character),
    }
    let address: Ipv6Addr = address.parse().map_err(|_| HostError::Ipv6)?;
    let canonical = format!("[{address}]");
    Ok(CanonicalHost(match text.strip_suffix(rest) {
        Some(same) if same == canonical => Cow::Borrowed(same.as_bytes()),
        _ => Cow::Owned(canonical.into_bytes()),
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Result<String, HostError> {
        CanonicalHost::parse(text.as_bytes()).map(|host| host.into_text().into_string())
    }

    #[test]
    fn case_port_and_one_trailing_dot_do_not_count() {
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
    fn an_ipv6_address_keeps_its_brackets_and_has_one_spelling() {
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
    fn nothing_is_copied_from_a_canonical_host() {
        for text in ["a.example", "a.example:80", "[::1]", "[::1]:80", "10.0.0.1"] {
            let host = CanonicalHost::parse(text.as_bytes()).unwrap();
            assert!(matches!(host.0, Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
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
        assert_eq!(CanonicalHost::parse(b"a\xff"), Err(HostError::Character));
    }

    #[test]
    fn a_wildcard_covers_one_or_more_labels_and_not_its_suffix() {
        let pattern = HostPattern::parse("*.Example.com.").unwrap();
        assert_eq!(pattern.to_string(), "*.example.com");
        for (host, covered) in [
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("example.com", false),
            ("xexample.com", false),
            ("example.com.evil", false),
        ] {
            let canonical = CanonicalHost::parse(host.as_bytes()).unwrap();
            assert_eq!(pattern.covers(&canonical), covered, "{host}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert_eq!(HostPattern::parse("*"), Err(HostPatternError::Everything));
        for text in ["*x", "*example.com", "a.*.b", "a.*", "*.*", "*.*.a"] {
            assert_eq!(
                HostPattern::parse(text),
                Err(HostPatternError::Wildcard(text.to_owned()))
            );
        }
        for text in ["a:80", "[::1]:80", "*.a:80"] {
            assert_eq!(
                HostPattern::parse(text),
                Err(HostPatternError::Port(text.to_owned()))
            );
        }
        for text in ["", "*.", "*.[::1]", "a..b", "a/b"] {
            assert!(matches!(
                HostPattern::parse(text),
                Err(HostPatternError::Host { .. })
            ));
        }
    }

    proptest! {
        #[test]
        fn canonical_twice_is_canonical_once(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(host) = CanonicalHost::parse(&bytes) {
                let again = CanonicalHost::parse(host.as_bytes());
                prop_assert_eq!(again.as_ref(), Ok(&host));
            }
        }
    }
}
