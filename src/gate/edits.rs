//! The header edits of a forwarded request.

use std::rc::Rc;

use super::permit::Permit;
use super::principal::VerifiedPrincipal;
use super::scan::Scan;
use crate::config::Config;
use crate::correlation::CorrelationId;
use crate::headers::SingleHeader;

/// One edit of the request's headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The header's name.
    pub name: Rc<[u8]>,
    /// The header's only value after the edit; `None` removes every instance.
    pub value: Option<Rc<[u8]>>,
}

/// Proof that the request may be forwarded, with the edits that must be applied first.
///
/// It can only be made from a permit, and only the pipeline makes permits:
///
/// ```compile_fail,E0451
/// let forward = edge_claims::internals::Forward { permit: (), edits: [].into() };
/// ```
#[derive(Debug)]
pub struct Forward {
    _permit: Permit,
    edits: Rc<[Edit]>,
}

/// The names of the headers that edits set or remove.
pub(super) struct HeaderNames {
    token: Rc<[u8]>,
    correlation: Rc<[u8]>,
    identity: Vec<Rc<[u8]>>,
    /// The headers that correlation IDs are accepted from.
    accepted_ids: Vec<Rc<[u8]>>,
}

impl HeaderNames {
    pub(super) fn new(config: &Config) -> Self {
        let shared = |name: &str| Rc::from(name.as_bytes());
        let identity = config.identity.headers.iter();
        let accepted = config.correlation.accept.iter();
        Self {
            token: shared(&config.claims.header),
            correlation: shared(&config.correlation.header),
            identity: identity.map(|header| shared(&header.name)).collect(),
            accepted_ids: accepted.map(|name| shared(name)).collect(),
        }
    }
}

impl Forward {
    pub(super) fn new(permit: Permit, edits: Rc<[Edit]>) -> Self {
        Self {
            _permit: permit,
            edits,
        }
    }

    /// The edits, in the order to apply them.
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }
}

pub(super) struct EditInputs<'a> {
    pub(super) names: &'a HeaderNames,
    pub(super) scan: &'a Scan<'a>,
    pub(super) principal: Option<&'a VerifiedPrincipal>,
    /// Whether the upstream gets a verified token.
    pub(super) forwards_token: bool,
    pub(super) correlation: &'a CorrelationId,
    /// Edits that remove malformed correlation headers.
    pub(super) malformed_correlation_headers: Vec<Edit>,
    /// `:authority`, if it must be rewritten.
    pub(super) authority: Option<&'a [u8]>,
    /// `:path`, if it must be rewritten.
    pub(super) path: Option<&'a [u8]>,
}

impl EditInputs<'_> {
    pub(super) fn edits(&self) -> Rc<[Edit]> {
        match self.principal {
            Some(principal) if self.is_cacheable() => {
                principal.cached_edits(|| self.compute().into())
            }
            _ => self.compute().into(),
        }
    }

    /// Whether the edits depend on the principal alone, as for most requests.
    fn is_cacheable(&self) -> bool {
        self.scan.strip.is_empty()
            && self.scan.identity.is_empty()
            && self.scan.connection == SingleHeader::Missing
            && self.correlation.is_sent_as(self.scan.correlation)
            && self.malformed_correlation_headers.is_empty()
            && self.authority.is_none()
            && self.path.is_none()
    }

    #[inline(never)]
    fn compute(&self) -> Vec<Edit> {
        let (names, scan) = (self.names, self.scan);
        let mut edits: Vec<Edit> = scan
            .strip
            .iter()
            .map(|name| remove(Rc::from(*name)))
            .collect();
        for (index, name) in names.identity.iter().enumerate() {
            self.identity_edits(index, name, &mut edits);
        }
        let keeps_token = self.forwards_token && self.principal.is_some();
        if scan.token != SingleHeader::Missing && !keeps_token {
            edits.push(remove(Rc::clone(&names.token)));
        }
        set_correlation(&mut edits, names, scan, self.correlation);
        if let Some(authority) = self.authority {
            edits.push(set(Rc::from(b":authority".as_slice()), authority));
        }
        if let Some(path) = self.path {
            edits.push(set(Rc::from(b":path".as_slice()), path));
        }
        edits.extend(connection_edit(scan.connection));
        edits.extend(self.malformed_correlation_headers.iter().cloned());
        edits
    }

    /// Makes an identity header equal to the claim.
    fn identity_edits(&self, index: usize, name: &Rc<[u8]>, edits: &mut Vec<Edit>) {
        let expected = self.principal.and_then(|it| it.identity(index));
        let mut sent = self
            .scan
            .identity
            .iter()
            .filter(|(at, _)| *at == index)
            .map(|(_, value)| *value);
        match (sent.next(), sent.next(), expected) {
            (Some(value), None, Some(expected)) if *value == **expected => {}
            (None, _, None) => {}
            (_, second, expected) => {
                // Setting a header that has several instances may leave the others.
                if second.is_some() || expected.is_none() {
                    edits.push(remove(Rc::clone(name)));
                }
                if let Some(expected) = expected {
                    edits.push(Edit {
                        name: Rc::clone(name),
                        value: Some(Rc::clone(expected)),
                    });
                }
            }
        }
    }
}

/// Whether the request has identity headers that differ from its verified claims.
pub(super) fn is_spoofed(scan: &Scan<'_>, principal: Option<&VerifiedPrincipal>) -> bool {
    if !scan.spoofed {
        return false;
    }
    let differs = |&(index, value): &(usize, &[u8])| {
        let instances = scan.identity.iter().filter(|(at, _)| *at == index).count();
        let expected = principal.and_then(|principal| principal.identity(index));
        instances != 1 || expected.is_none_or(|expected| **expected != *value)
    };
    scan.aliased || scan.identity.iter().any(differs)
}

/// Removes malformed correlation headers, other than the one that the filter sets.
pub(super) fn remove_malformed_ids(names: &HeaderNames, scan: &Scan<'_>) -> Vec<Edit> {
    let others = scan.other_ids.iter();
    others
        .filter(|(_, sent)| CorrelationId::is_malformed(*sent))
        .filter_map(|(index, _)| Some(remove(Rc::clone(names.accepted_ids.get(*index)?))))
        .collect()
}

/// Sets the correlation header, unless it already has the ID as its only value.
pub(super) fn set_correlation(
    edits: &mut Vec<Edit>,
    names: &HeaderNames,
    scan: &Scan<'_>,
    correlation: &CorrelationId,
) {
    if correlation.is_sent_as(scan.correlation) {
        return;
    }
    let name = &names.correlation;
    // Setting a header that has several instances may leave the others.
    if scan.correlation == SingleHeader::Multiple {
        edits.push(remove(Rc::clone(name)));
    }
    edits.push(Edit {
        name: Rc::clone(name),
        value: Some(Rc::from(correlation.shared())),
    });
}

/// `connection` names the headers that the next hop removes (RFC 9110 §7.6.1). A client could
/// name an identity header there to have it removed after this filter, so only `upgrade` is kept.
fn connection_edit(connection: SingleHeader<'_>) -> Option<Edit> {
    let name: Rc<[u8]> = Rc::from(b"connection".as_slice());
    match connection {
        SingleHeader::Missing => None,
        SingleHeader::One(value) if value.eq_ignore_ascii_case(b"upgrade") => None,
        SingleHeader::One(value) => {
            let mut options = value.split(|byte| *byte == b',');
            let is_upgrade =
                options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
            Some(if is_upgrade {
                set(name, b"Upgrade")
            } else {
                remove(name)
            })
        }
        SingleHeader::Multiple => Some(remove(name)),
    }
}

fn remove(name: Rc<[u8]>) -> Edit {
    Edit { name, value: None }
}

fn set(name: Rc<[u8]>, value: &[u8]) -> Edit {
    Edit {
        name,
        value: Some(Rc::from(value)),
    }
}
