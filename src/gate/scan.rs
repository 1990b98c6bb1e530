//! One pass over the request headers: collects what the pipeline needs, and what must be removed.

use crate::bytes;
use crate::config::Config;
use crate::header_name::fold;
use crate::headers::{Headers, SingleHeader};

/// The names of the headers that the filter reads, sets or removes.
///
/// Names are compared folded (see [`fold`]), because CGI (RFC 3875 §4.1.18) and many frameworks turn
/// `x-auth-subject`, `x_auth_subject` and `x.auth.subject` into one variable.
#[derive(Debug)]
pub(crate) struct HeaderIndex {
    /// By the length of the name, so that most headers cost one access to an empty list.
    by_length: Vec<Vec<KnownName>>,
}

#[derive(Debug)]
struct KnownName {
    name: Box<[u8]>,
    role: Role,
}

/// What the filter does with a header.
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
    Connection,
}

/// The headers of one request that matter to the filter.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    /// `:method`
    pub method: &'a [u8],
    /// `:path`
    pub path: &'a [u8],
    /// `:authority`
    pub authority: &'a [u8],
    /// The token's header.
    pub token: SingleHeader<'a>,
    /// The correlation header.
    pub correlation: SingleHeader<'a>,
    /// Other headers that correlation IDs are accepted from, by their index in the config.
    pub other_ids: Vec<(usize, SingleHeader<'a>)>,
    /// The request's identity headers, by their index in the config.
    pub identity: Vec<(usize, &'a [u8])>,
    /// Names of headers that are always removed: aliases of reserved headers, and `identity.strip`.
    pub strip: Vec<&'a [u8]>,
    /// Whether the request has an identity header or an alias of one.
    pub spoofed: bool,
    /// Whether it has an alias of an identity header.
    pub aliased: bool,
    /// Whether `content-type` is gRPC's.
    pub grpc: bool,
    /// Whether `origin` is present.
    pub origin: bool,
    /// `access-control-request-method`
    pub preflight_method: Option<&'a [u8]>,
    /// `connection`, which Envoy keeps for upgrades only.
    pub connection: SingleHeader<'a>,
}

impl HeaderIndex {
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
            ("connection", Role::Connection),
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
            bucket.push(KnownName {
                name: name.as_bytes().into(),
                role,
            });
        }
    }

    pub(crate) fn scan<'a>(&self, headers: &Headers<'a>) -> Scan<'a> {
        let mut scan = Scan {
            method: b"",
            path: b"",
            authority: b"",
            token: SingleHeader::Missing,
            correlation: SingleHeader::Missing,
            other_ids: Vec::new(),
            identity: Vec::new(),
            strip: Vec::new(),
            spoofed: false,
            aliased: false,
            grpc: false,
            origin: false,
            preflight_method: None,
            connection: SingleHeader::Missing,
        };
        for (name, value) in headers.iter() {
            let Some(bucket) = self.by_length.get(name.len()) else {
                continue;
            };
            for known in bucket {
                let exact = bytes::equal(name, &known.name);
                if exact || known.is_alias(name) {
                    scan.record(known.role, exact, name, value);
                }
            }
        }
        scan
    }

    /// The names of trailers that only this filter may set, or that no backend may see.
    pub(super) fn reserved_trailers<'a>(&self, trailers: &Headers<'a>) -> Vec<&'a [u8]> {
        let is_reserved = |name: &[u8]| {
            let bucket = self.by_length.get(name.len());
            bucket.is_some_and(|bucket| {
                let mut known = bucket.iter().filter(|known| known.role.is_reserved());
                known.any(|known| known.is_alias(name))
            })
        };
        let mut names: Vec<&[u8]> = Vec::new();
        for (name, _) in trailers.iter() {
            if is_reserved(name) && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

impl Role {
    fn is_reserved(self) -> bool {
        match self {
            Self::Token
            | Self::Correlation
            | Self::OtherId(_)
            | Self::Identity(_)
            | Self::Strip => true,
            Self::Method
            | Self::Path
            | Self::Authority
            | Self::ContentType
            | Self::Origin
            | Self::PreflightMethod
            | Self::Connection => false,
        }
    }
}

impl<'a> Scan<'a> {
    /// Records a known header; `exact` unless its name is an alias.
    fn record(&mut self, role: Role, exact: bool, name: &'a [u8], value: &'a [u8]) {
        match role {
            Role::Method if exact => self.method = value,
            Role::Path if exact => self.path = value,
            Role::Authority if exact => self.authority = value,
            Role::ContentType if exact => self.grpc |= is_grpc(value),
            Role::Origin if exact => self.origin = true,
            Role::PreflightMethod if exact => self.preflight_method = Some(value),
            Role::Connection if exact => self.connection.add(value),
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
            Role::Strip | Role::Token | Role::Correlation | Role::OtherId(_) => self.strip(name),
            Role::Method
            | Role::Path
            | Role::Authority
            | Role::ContentType
            | Role::Origin
            | Role::PreflightMethod
            | Role::Connection => {}
        }
    }

    fn add_other_id(&mut self, index: usize, value: &'a [u8]) {
        match self.other_ids.iter_mut().find(|(known, _)| *known == index) {
            Some((_, sent)) => sent.add(value),
            None => self.other_ids.push((index, SingleHeader::One(value))),
        }
    }

    /// An accepted correlation header other than the one that the filter sets, by its index in the config.
    pub(crate) fn other_id(&self, index: usize) -> SingleHeader<'a> {
        let mut known = self.other_ids.iter();
        let found = known.find(|(known, _)| *known == index);
        found.map_or(SingleHeader::Missing, |(_, sent)| *sent)
    }

    fn strip(&mut self, name: &'a [u8]) {
        if !self.strip.contains(&name) {
            self.strip.push(name);
        }
    }
}

impl KnownName {
    /// Whether a backend could treat a name of the same length as this one.
    fn is_alias(&self, name: &[u8]) -> bool {
        let mut bytes = name.iter().zip(&self.name);
        bytes.all(|(byte, known)| fold(*byte) == fold(*known))
    }
}

/// Whether the content type is `application/grpc`, alone or followed by `+` or `;`.
fn is_grpc(content_type: &[u8]) -> bool {
    content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}
