//! SPIFFE IDs of mTLS peers, and patterns for them (SPIFFE-ID §2).

use std::fmt;

/// A SPIFFE ID, or every ID below a path: `spiffe://cluster.local/ns/edge/*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerPattern {
    /// The ID; for a prefix, up to and including the slash before `*`.
    text: Box<str>,
    prefix: bool,
}

/// When a client certificate counts as an mTLS peer: the config's `rbac.peer_validation`.
///
/// Envoy may provide a certificate that was not validated, if a listener has no validation context or
/// accepts untrusted certificates. `connection.mtls` only says that there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PeerValidation {
    /// If Envoy reports that the certificate was validated (`connection.peer_certificate_valid`). It does
    /// not for resumed TLS sessions, nor before version 1.39.
    #[default]
    Reported,
    /// Always: the operator ensures that every listener with this filter rejects certificates that it
    /// cannot validate, as Istio's listeners do.
    ByListener,
}

/// Why a text is not a valid peer pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerPatternError {
    /// It does not start with `spiffe://`.
    #[error("{0:?} is not a SPIFFE ID: write spiffe://<trust domain>/<path>")]
    Scheme(String),
    /// The trust domain is empty or has a character outside `a-z0-9.-_`.
    #[error("{0:?} has no valid trust domain: lower-case letters, digits, '.', '-' and '_'")]
    TrustDomain(String),
    /// An empty or dot segment, or a character outside `A-Za-z0-9.-_`.
    #[error("{0:?} has no valid path: non-empty segments of letters, digits, '.', '-' and '_'")]
    Path(String),
    /// A `*` that is not the whole last segment.
    #[error(
        "{0:?}: '*' may only be the whole last segment, as in spiffe://cluster.local/ns/edge/*"
    )]
    Wildcard(String),
}

impl PeerPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// A [`PeerPatternError`] with the text.
    pub fn parse(text: &str) -> Result<Self, PeerPatternError> {
        let (id, prefix) = match text.strip_suffix("/*") {
            Some(id) => (id, true),
            None => (text, false),
        };
        if id.contains('*') {
            return Err(PeerPatternError::Wildcard(text.to_owned()));
        }
        let rest = id
            .strip_prefix(SCHEME)
            .ok_or_else(|| PeerPatternError::Scheme(text.to_owned()))?;
        let (domain, path) = match rest.split_once('/') {
            Some((domain, path)) => (domain, Some(path)),
            None => (rest, None),
        };
        if !is_trust_domain(domain) {
            return Err(PeerPatternError::TrustDomain(text.to_owned()));
        }
        if !path.is_none_or(is_path) {
            return Err(PeerPatternError::Path(text.to_owned()));
        }
        let kept = if prefix {
            text.trim_end_matches('*')
        } else {
            text
        };
        Ok(Self {
            text: kept.into(),
            prefix,
        })
    }

    /// Whether the pattern matches every ID that another one matches.
    #[cfg(feature = "cli")]
    pub(crate) fn covers_all_of(&self, other: &Self) -> bool {
        if self.prefix {
            other.text.starts_with(&*self.text)
        } else {
            self == other
        }
    }

    /// Whether the pattern matches a peer's ID. It never matches an invalid SPIFFE ID.
    pub fn covers(&self, peer: &str) -> bool {
        let matches = if self.prefix {
            peer.starts_with(&*self.text)
        } else {
            peer == &*self.text
        };
        matches && is_spiffe_id(peer)
    }
}

impl fmt::Display for PeerPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)?;
        formatter.write_str(if self.prefix { "*" } else { "" })
    }
}

const SCHEME: &str = "spiffe://";

fn is_spiffe_id(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(SCHEME) else {
        return false;
    };
    match rest.split_once('/') {
        Some((domain, path)) => is_trust_domain(domain) && is_path(path),
        None => is_trust_domain(rest),
    }
}

/// SPIFFE-ID §2.1.
fn is_trust_domain(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
        })
}

/// SPIFFE-ID §2.2.
fn is_path(text: &str) -> bool {
    text.split('/').all(|segment| {
        !matches!(segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_pattern_covers_one_id() {
        let pattern = PeerPattern::parse("spiffe://cluster.local/ns/edge/sa/gw").unwrap();
        assert!(pattern.covers("spiffe://cluster.local/ns/edge/sa/gw"));
        assert!(!pattern.covers("spiffe://cluster.local/ns/edge/sa/gw2"));
        assert!(!pattern.covers("spiffe://cluster.local/ns/edge/sa"));
    }

    #[test]
    fn a_wildcard_covers_ids_below_and_not_siblings() {
        let pattern = PeerPattern::parse("spiffe://cluster.local/ns/edge/*").unwrap();
        assert_eq!(pattern.to_string(), "spiffe://cluster.local/ns/edge/*");
        assert!(pattern.covers("spiffe://cluster.local/ns/edge/sa/gw"));
        for peer in [
            "spiffe://cluster.local/ns/edge",
            "spiffe://cluster.local/ns/edge/",
            "spiffe://cluster.local/ns/edge2/sa/gw",
            "spiffe://cluster.local/ns/edge/../admin",
            "spiffe://cluster.local/ns/edge//x",
            "spiffe://cluster.local.evil/ns/edge/x",
            "https://cluster.local/ns/edge/x",
        ] {
            assert!(!pattern.covers(peer), "{peer}");
        }
    }

    #[test]
    fn a_wildcard_can_cover_a_whole_trust_domain() {
        let pattern = PeerPattern::parse("spiffe://cluster.local/*").unwrap();
        assert!(pattern.covers("spiffe://cluster.local/ns/a/sa/b"));
        assert!(!pattern.covers("spiffe://cluster.local"));
    }

    #[test]
    fn invalid_patterns_are_rejected() {
        for (text, error) in [
            ("", PeerPatternError::Scheme as fn(String) -> _),
            ("cluster.local/ns/a", PeerPatternError::Scheme),
            ("spiffe://", PeerPatternError::TrustDomain),
            ("spiffe:///ns/a", PeerPatternError::TrustDomain),
            ("spiffe://A/ns", PeerPatternError::TrustDomain),
            ("spiffe://a:1/ns", PeerPatternError::TrustDomain),
            ("spiffe://a/", PeerPatternError::Path),
            ("spiffe://a/b//c", PeerPatternError::Path),
            ("spiffe://a/../c", PeerPatternError::Path),
            ("spiffe://a/b?c", PeerPatternError::Path),
            ("spiffe://a/b*", PeerPatternError::Wildcard),
            ("spiffe://a/*/b", PeerPatternError::Wildcard),
            ("spiffe://*", PeerPatternError::Scheme),
            ("*", PeerPatternError::Wildcard),
        ] {
            assert_eq!(PeerPattern::parse(text), Err(error(text.to_owned())));
        }
    }
}
