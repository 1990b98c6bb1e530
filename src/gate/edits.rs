//! What a request that goes on must lose and gain.

use std::rc::Rc;

use super::caller::Caller;
use super::scan::{Scan, TokenHeader};
use crate::config::Config;
use crate::correlation::CorrelationId;
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
    /// Whether correlation IDs may stand in other headers, too.
    pub(super) other_ids: bool,
}

impl Names {
    pub(super) fn new(config: &Config) -> Self {
        let shared = |name: &str| Rc::from(name.as_bytes());
        Self {
            token: shared(&config.claims.header),
            correlation: shared(&config.correlation.header),
            identity: config
                .identity
                .headers
                .iter()
                .map(|header| shared(&header.name))
                .collect(),
            other_ids: config
                .correlation
                .accept
                .iter()
                .any(|name| *name != config.correlation.header),
        }
    }
}

impl Forward {
    pub(super) fn new(permit: Permit, edits: Rc<[Edit]>) -> Self {
        Self { permit, edits }
    }

    /// What lets it go on.
    #[must_use]
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The changes, in order.
    #[must_use]
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }
}

/// What a request of a verified caller must lose and gain that brought the token, nothing that poses as
/// identity, and the right correlation ID: most requests do, so it is made once for a token.
pub(super) fn usual(config: &Config, names: &Names, identity: &[Option<Rc<[u8]>>]) -> Rc<[Edit]> {
    let identity = names.identity.iter().zip(identity);
    let identity = identity.filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let mut edits: Vec<Edit> = identity
        .map(|(name, value)| set(Rc::clone(name), Some(Rc::clone(value))))
        .collect();
    if !config.claims.forward {
        edits.push(remove(Rc::clone(&names.token)));
    }
    edits.into()
}

/// What this request must lose and gain.
pub(super) fn compile(
    config: &Config,
    names: &Names,
    scan: &Scan<'_>,
    caller: Option<&Caller>,
    token_dropped: bool,
    correlation: &CorrelationId,
    rest: Rest,
) -> Rc<[Edit]> {
    match caller {
        Some(caller)
            if scan.strip.is_empty()
                && scan.identity.is_empty()
                && !token_dropped
                && scan.correlation.is_some_and(|sent| correlation.is(sent))
                && rest.hostile.is_empty()
                && rest.path.is_none() =>
        {
            caller.usual_edits(config, names)
        }
        _ => compile_all(
            config,
            names,
            scan,
            caller,
            token_dropped,
            correlation,
            rest,
        ),
    }
}

/// What seldom is to be changed.
pub(super) struct Rest {
    /// Headers that pose as correlation IDs.
    pub(super) hostile: Vec<Edit>,
    /// `:path`, where dots or empty segments were resolved.
    pub(super) path: Option<Vec<u8>>,
}

#[inline(never)]
fn compile_all(
    config: &Config,
    names: &Names,
    scan: &Scan<'_>,
    caller: Option<&Caller>,
    token_dropped: bool,
    correlation: &CorrelationId,
    rest: Rest,
) -> Rc<[Edit]> {
    let mut edits: Vec<Edit> = scan
        .strip
        .iter()
        .map(|name| remove(Rc::from(*name)))
        .collect();
    for (index, name) in names.identity.iter().enumerate() {
        let wanted = caller.and_then(|caller| caller.identity(index));
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
    let keep_token = config.claims.forward && !token_dropped;
    if scan.token != TokenHeader::Absent && !keep_token {
        edits.push(remove(Rc::clone(&names.token)));
    }
    correlate(&mut edits, names, scan, correlation);
    if let Some(path) = rest.path {
        edits.push(set(Rc::from(b":path".as_slice()), Some(Rc::from(path))));
    }
    edits.extend(rest.hostile);
    edits.into()
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

/// Makes the correlation header the one ID, where it is not.
pub(super) fn correlate(
    edits: &mut Vec<Edit>,
    names: &Names,
    scan: &Scan<'_>,
    correlation: &CorrelationId,
) {
    if scan.correlation.is_some_and(|sent| correlation.is(sent)) {
        return;
    }
    let name = &names.correlation;
    // Setting a header that stands more than once may leave the others.
    if scan.correlation_present && scan.correlation.is_none() {
        edits.push(remove(Rc::clone(name)));
    }
    edits.push(set(Rc::clone(name), Some(Rc::from(correlation.shared()))));
}

pub(super) fn remove(name: Rc<[u8]>) -> Edit {
    set(name, None)
}

fn set(name: Rc<[u8]>, value: Option<Rc<[u8]>>) -> Edit {
    Edit { name, value }
}
