//! One look at every request header: what the pipeline needs, and what it must take away.

use crate::config::Config;
use crate::headers::Headers;

/// Which of the request's headers mean something, by name. Names are looked up as a careless backend
/// would read them: without regard to case, and with `_` the same as `-` (RFC 3875 §4.1.18 folds
/// both into one).
#[derive(Debug)]
pub struct HeaderIndex {
    /// By the name's length, so that most headers cost one look at an empty list.
    by_length: Vec<Vec<(Box<[u8]>, Role)>>,
}

/// What a header is to the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Token,
    Correlation,
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

/// The token's header in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenHeader<'a> {
    /// Not there.
    Absent,
    /// There once, with this value.
    Once(&'a [u8]),
    /// There more than once.
    Repeated,
}

/// What the headers of one request say.
#[derive(Debug)]
pub struct Scan<'a> {
    /// `:method`
    pub method: &'a [u8],
    /// `:path`
    pub path: &'a [u8],
    /// `:authority`
    pub authority: &'a [u8],
    /// The token's header.
    pub token: TokenHeader<'a>,
    /// The value of the correlation header, where it stands exactly once.
    pub correlation: Option<&'a [u8]>,
    /// Whether the correlation header is there at all.
    pub correlation_present: bool,
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
    #[must_use]
    pub fn new(config: &Config) -> Self {
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
        index.add(&config.correlation.header, Role::Correlation);
        index.add(&config.claims.header, Role::Token);
        index
    }

    fn add(&mut self, name: &str, role: Role) {
        let folded: Box<[u8]> = name.bytes().map(fold).collect();
        if self.by_length.len() <= folded.len() {
            self.by_length
                .resize_with(folded.len().saturating_add(1), Vec::new);
        }
        if let Some(bucket) = self.by_length.get_mut(folded.len()) {
            bucket.push((folded, role));
        }
    }

    /// Looks at every header once.
    #[must_use]
    pub fn scan<'a>(&self, headers: &Headers<'a>, config: &Config) -> Scan<'a> {
        let mut scan = Scan {
            method: b"",
            path: b"",
            authority: b"",
            token: TokenHeader::Absent,
            correlation: None,
            correlation_present: false,
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
            for (folded, role) in bucket {
                if name
                    .iter()
                    .zip(folded.iter())
                    .all(|(byte, known)| fold(*byte) == *known)
                {
                    scan.note(*role, name, value, config);
                }
            }
        }
        scan
    }
}

impl<'a> Scan<'a> {
    fn note(&mut self, role: Role, name: &'a [u8], value: &'a [u8], config: &Config) {
        let exact = |expected: &str| name == expected.as_bytes();
        match role {
            Role::Method if exact(":method") => self.method = value,
            Role::Path if exact(":path") => self.path = value,
            Role::Authority if exact(":authority") => self.authority = value,
            Role::ContentType if exact("content-type") => self.grpc |= is_grpc(value),
            Role::Origin if exact("origin") => self.origin = true,
            Role::PreflightMethod if exact("access-control-request-method") => {
                self.preflight_method = Some(value);
            }
            Role::Token if exact(&config.claims.header) => {
                self.token = match self.token {
                    TokenHeader::Absent => TokenHeader::Once(value),
                    _ => TokenHeader::Repeated,
                };
            }
            Role::Correlation if exact(&config.correlation.header) => {
                self.correlation = (!self.correlation_present).then_some(value);
                self.correlation_present = true;
            }
            Role::Identity(index) => {
                self.spoofed = true;
                match config.identity.headers.get(index) {
                    Some(header) if exact(&header.name) => self.identity.push((index, value)),
                    _ => {
                        self.aliased = true;
                        self.strip(name);
                    }
                }
            }
            Role::Strip | Role::Token | Role::Correlation => self.strip(name),
            Role::Method
            | Role::Path
            | Role::Authority
            | Role::ContentType
            | Role::Origin
            | Role::PreflightMethod => {}
        }
    }

    fn strip(&mut self, name: &'a [u8]) {
        if !self.strip.contains(&name) {
            self.strip.push(name);
        }
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
