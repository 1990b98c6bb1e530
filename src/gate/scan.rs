//! One look at every request header: what the pipeline needs, and what it must take away.

use crate::bytes;
use crate::config::Config;
use crate::headers::{Headers, Sent};

/// Which of the request's headers mean something, by name. Names are looked up as a careless backend
/// would read them: without regard to case, and with `_` the same as `-` (RFC 3875 §4.1.18 folds
/// both into one).
#[derive(Debug)]
pub(crate) struct HeaderIndex {
    /// By the name's length, so that most headers cost one look at an empty list.
    by_length: Vec<Vec<Known>>,
}

/// A name that means something.
#[derive(Debug)]
struct Known {
    name: Box<[u8]>,
    role: Role,
}

/// What a header is to the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Token,
    Correlation,
    /// Index into the config's accepted correlation headers.
    OtherId(usize),
    /// Index into the config's identity headers.
    Identity(usize),
    Strip,
    Method,
    Path,
    Authority,
    ContentType,
    Origin,
    PreflightMethod,
}

/// What the headers of one request say.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    /// `:method`
    pub method: &'a [u8],
    /// `:path`
    pub path: &'a [u8],
    /// `:authority`
    pub authority: &'a [u8],
    /// The token's header.
    pub token: Sent<'a>,
    /// The correlation header.
    pub correlation: Sent<'a>,
    /// Other headers that correlation IDs are accepted from, by their index in the config.
    pub other_ids: Vec<(usize, Sent<'a>)>,
    /// Identity headers that the request brought, by their index in the config.
    pub identity: Vec<(usize, &'a [u8])>,
    /// Names to take away whatever the decision is: aliases of reserved headers, and the config's
    /// `identity.strip`.
    pub strip: Vec<&'a [u8]>,
    /// Whether the request brought a reserved identity header, in any spelling.
    pub spoofed: bool,
    /// Whether it brought one in a spelling that only a careless backend takes for it.
    pub aliased: bool,
    /// Whether `content-type` is gRPC's.
    pub grpc: bool,
    /// Whether `origin` is there.
    pub origin: bool,
    /// `access-control-request-method`
    pub preflight_method: Option<&'a [u8]>,
}

impl HeaderIndex {
    /// The index for a config.
    pub(crate) fn new(config: &Config) -> Self {
        let mut index = Self {
            by_length: Vec::new(),
        };
        for (name, role) in [
            (":method", Role::Method),
            (":path", Role::Path),
            (":authority", Role::Authority),
            ("content-type", Role::ContentType),
            ("origin", Role::Origin),
            ("access-control-request-method", Role::PreflightMethod),
        ] {
            index.add(name, role);
        }
        for name in &config.identity.strip {
            index.add(name, Role::Strip);
        }
        for (position, header) in config.identity.headers.iter().enumerate() {
            index.add(&header.name, Role::Identity(position));
        }
        for (position, name) in config.correlation.accept.iter().enumerate() {
            if *name != config.correlation.header {
                index.add(name, Role::OtherId(position));
            }
        }
        index.add(&config.correlation.header, Role::Correlation);
        index.add(&config.claims.header, Role::Token);
        index
    }

    fn add(&mut self, name: &str, role: Role) {
        if self.by_length.len() <= name.len() {
            self.by_length
                .resize_with(name.len().saturating_add(1), Vec::new);
        }
        if let Some(bucket) = self.by_length.get_mut(name.len()) {
            bucket.push(Known {
                name: name.as_bytes().into(),
                role,
            });
        }
    }

    /// Looks at every header once.
    pub(crate) fn scan<'a>(&self, headers: &Headers<'a>) -> Scan<'a> {
        let mut scan = Scan {
            method: b"",
            path: b"",
            authority: b"",
            token: Sent::Absent,
            correlation: Sent::Absent,
            other_ids: Vec::new(),
            identity: Vec::new(),
            strip: Vec::new(),
            spoofed: false,
            aliased: false,
            grpc: false,
            origin: false,
            preflight_method: None,
        };
        for (name, value) in headers.iter() {
            let Some(bucket) = self.by_length.get(name.len()) else {
                continue;
            };
            for known in bucket {
                let exact = bytes::equal(name, &known.name);
                if exact || known.is_meant_by(name) {
                    scan.note(known.role, exact, name, value);
                }
            }
        }
        scan
    }
}

impl<'a> Scan<'a> {
    /// A header whose name means something; `exact` where it is spelt as the config or HTTP has it.
    fn note(&mut self, role: Role, exact: bool, name: &'a [u8], value: &'a [u8]) {
        match role {
            Role::Method if exact => self.method = value,
            Role::Path if exact => self.path = value,
            Role::Authority if exact => self.authority = value,
            Role::ContentType if exact => self.grpc |= is_grpc(value),
            Role::Origin if exact => self.origin = true,
            Role::PreflightMethod if exact => self.preflight_method = Some(value),
            Role::Token if exact => self.token.add(value),
            Role::Correlation if exact => self.correlation.add(value),
            Role::OtherId(index) if exact => self.add_other_id(index, value),
            Role::Identity(index) => {
                self.spoofed = true;
                if exact {
                    self.identity.push((index, value));
                } else {
                    self.aliased = true;
                    self.strip(name);
                }
            }
            Role::Strip | Role::Token | Role::Correlation => self.strip(name),
            Role::Method
            | Role::Path
            | Role::Authority
            | Role::ContentType
            | Role::Origin
            | Role::PreflightMethod
            | Role::OtherId(_) => {}
        }
    }

    fn add_other_id(&mut self, index: usize, value: &'a [u8]) {
        match self.other_ids.iter_mut().find(|(known, _)| *known == index) {
            Some((_, sent)) => sent.add(value),
            None => self.other_ids.push((index, Sent::Once(value))),
        }
    }

    /// An accepted correlation header other than the own one, by its index in the config.
    pub(crate) fn other_id(&self, index: usize) -> Sent<'a> {
        let mut known = self.other_ids.iter();
        let found = known.find(|(known, _)| *known == index);
        found.map_or(Sent::Absent, |(_, sent)| *sent)
    }

    fn strip(&mut self, name: &'a [u8]) {
        if !self.strip.contains(&name) {
            self.strip.push(name);
        }
    }
}

impl Known {
    /// Whether a careless backend would take a name of the same length for this one.
    fn is_meant_by(&self, name: &[u8]) -> bool {
        let mut bytes = name.iter().zip(&self.name);
        bytes.all(|(byte, known)| fold(*byte) == fold(*known))
    }
}

fn fold(byte: u8) -> u8 {
    match byte {
        b'_' => b'-',
        byte => byte.to_ascii_lowercase(),
    }
}

/// gRPC over HTTP/2: `application/grpc`, alone or with `+` or `;` behind it.
fn is_grpc(content_type: &[u8]) -> bool {
    content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}
