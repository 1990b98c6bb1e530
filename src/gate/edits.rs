//! What a request that goes on must lose and gain.

use std::rc::Rc;

use super::caller::Caller;
use super::scan::Scan;
use crate::config::Config;
use crate::correlation::CorrelationId;
use crate::headers::Sent;
use crate::policy::permit::Permit;

/// One change to the request's headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The header's name as it stands in the request, or as it is to be set.
    pub name: Rc<[u8]>,
    /// The one value that it has afterwards; `None`: no instance of it is left.
    pub value: Option<Rc<[u8]>>,
}

/// A request that may go on, and how.
#[derive(Debug)]
pub struct Forward {
    permit: Permit,
    edits: Rc<[Edit]>,
}

/// The names of the headers that edits are about, shared by all of them.
pub(super) struct Names {
    token: Rc<[u8]>,
    correlation: Rc<[u8]>,
    identity: Vec<Rc<[u8]>>,
    /// Headers that correlation IDs are accepted from.
    accepted: Vec<Rc<[u8]>>,
}

impl Names {
    pub(super) fn new(config: &Config) -> Self {
        let shared = |name: &str| Rc::from(name.as_bytes());
        let accepted = config.correlation.accept.iter();
        Self {
            accepted: accepted.map(|name| shared(name)).collect(),
            token: shared(&config.claims.header),
            correlation: shared(&config.correlation.header),
            identity: config
                .identity
                .headers
                .iter()
                .map(|header| shared(&header.name))
                .collect(),
        }
    }
}

impl Forward {
    pub(super) fn new(permit: Permit, edits: Rc<[Edit]>) -> Self {
        Self { permit, edits }
    }

    /// What lets it go on.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The changes, in order.
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }
}

/// What the edits of a request that goes on depend on.
pub(super) struct Draft<'a> {
    pub(super) names: &'a Names,
    pub(super) scan: &'a Scan<'a>,
    pub(super) caller: Option<&'a Caller>,
    /// Whether the config lets tokens go on.
    pub(super) forwards_token: bool,
    /// Whether this one does not, whatever the config says.
    pub(super) token_dropped: bool,
    pub(super) correlation: &'a CorrelationId,
    /// Headers that pose as correlation IDs.
    pub(super) hostile: Vec<Edit>,
    /// `:path`, where dots or empty segments were resolved.
    pub(super) path: Option<Vec<u8>>,
}

impl Draft<'_> {
    /// The edits. Those of usual requests are the same for all of a token, and made for the first one.
    pub(super) fn edits(&self) -> Rc<[Edit]> {
        match self.caller {
            Some(caller) if self.is_usual() => caller.usual_edits(|| self.every_edit()),
            _ => self.every_edit(),
        }
    }

    /// Whether a request with verified claims brings nothing but its token that is to be changed.
    fn is_usual(&self) -> bool {
        self.scan.strip.is_empty()
            && self.scan.identity.is_empty()
            && !self.token_dropped
            && self.correlation.is_sent_as(self.scan.correlation)
            && self.hostile.is_empty()
            && self.path.is_none()
    }

    #[inline(never)]
    fn every_edit(&self) -> Rc<[Edit]> {
        let (names, scan) = (self.names, self.scan);
        let mut edits: Vec<Edit> = scan
            .strip
            .iter()
            .map(|name| remove(Rc::from(*name)))
            .collect();
        for (index, name) in names.identity.iter().enumerate() {
            let wanted = self.caller.and_then(|caller| caller.identity(index));
            let mut sent = scan
                .identity
                .iter()
                .filter(|(at, _)| *at == index)
                .map(|(_, value)| *value);
            let (first, second) = (sent.next(), sent.next());
            match (first, second, wanted) {
                (Some(value), None, Some(wanted)) if *value == **wanted => {}
                (None, _, None) => {}
                (_, second, wanted) => {
                    // Setting a header that stands more than once may leave the others.
                    if second.is_some() || wanted.is_none() {
                        edits.push(remove(Rc::clone(name)));
                    }
                    if let Some(wanted) = wanted {
                        edits.push(set(Rc::clone(name), Some(Rc::clone(wanted))));
                    }
                }
            }
        }
        let keep_token = self.forwards_token && !self.token_dropped;
        if scan.token != Sent::Absent && !keep_token {
            edits.push(remove(Rc::clone(&names.token)));
        }
        correlate(&mut edits, names, scan, self.correlation);
        if let Some(path) = &self.path {
            let path = Rc::from(path.as_slice());
            edits.push(set(Rc::from(b":path".as_slice()), Some(path)));
        }
        edits.extend(self.hostile.iter().cloned());
        edits.into()
    }
}

/// Whether a request brought identity headers that are not what its claims say.
pub(super) fn spoofed(scan: &Scan<'_>, caller: Option<&Caller>) -> bool {
    if !scan.spoofed {
        return false;
    }
    let differs = |&(index, value): &(usize, &[u8])| {
        let instances = scan.identity.iter().filter(|(at, _)| *at == index).count();
        let wanted = caller.and_then(|caller| caller.identity(index));
        instances != 1 || wanted.is_none_or(|wanted| **wanted != *value)
    };
    scan.aliased || scan.identity.iter().any(differs)
}

/// Takes away what poses as a correlation ID in other headers that IDs are accepted from.
pub(super) fn hostile(names: &Names, scan: &Scan<'_>) -> Vec<Edit> {
    let others = scan.other_ids.iter();
    others
        .filter(|(_, sent)| CorrelationId::is_malformed(*sent))
        .filter_map(|(index, _)| Some(remove(Rc::clone(names.accepted.get(*index)?))))
        .collect()
}

/// Makes the correlation header the one ID, where it is not.
pub(super) fn correlate(
    edits: &mut Vec<Edit>,
    names: &Names,
    scan: &Scan<'_>,
    correlation: &CorrelationId,
) {
    if correlation.is_sent_as(scan.correlation) {
        return;
    }
    let name = &names.correlation;
    // Setting a header that stands more than once may leave the others.
    if scan.correlation == Sent::Repeated {
        edits.push(remove(Rc::clone(name)));
    }
    edits.push(set(Rc::clone(name), Some(Rc::from(correlation.shared()))));
}

fn remove(name: Rc<[u8]>) -> Edit {
    set(name, None)
}

fn set(name: Rc<[u8]>, value: Option<Rc<[u8]>>) -> Edit {
    Edit { name, value }
}
