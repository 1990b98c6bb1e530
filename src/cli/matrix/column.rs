//! The columns of a matrix: what is known about the sender of a request.

use clap::ValueEnum;

use crate::claims::{ClaimPath, Claims};
use crate::config::Config;
use crate::json::{Json, Object};
use crate::policy::access::{Alternative, Conditions};
use crate::policy::condition::Test;
use crate::policy::peer::PeerPattern;

/// One kind of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(in crate::cli) enum ColumnKind {
    /// No token, a token without roles, and each role that the config names
    Roles,
    /// Each scope that a route names
    Scopes,
    /// Each peer that a route names
    Peers,
    /// Each issuer that a route names
    Issuers,
}

/// What a column says about the sender of a request; everything else is open.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Column {
    /// No token.
    Anonymous,
    /// A verified token without roles.
    Authenticated,
    /// A verified token with this role and those that it includes.
    Role(String),
    /// A verified token with this scope alone.
    Scope {
        /// The claim that holds it.
        claim: ClaimPath,
        /// The scope.
        scope: String,
    },
    /// A validated client certificate with an ID that this pattern covers, and no narrower one that a route
    /// names.
    Peer(PeerPattern),
    /// A verified token of this issuer.
    Issuer(String),
}

impl Column {
    /// The kind, as machine-readable output has it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Authenticated => "authenticated",
            Self::Role(_) => "role",
            Self::Scope { .. } => "scope",
            Self::Peer(_) => "peer",
            Self::Issuer(_) => "issuer",
        }
    }

    /// The role, scope, peer or issuer; the kind for the two columns without a name.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Anonymous | Self::Authenticated => self.kind().to_owned(),
            Self::Role(name) | Self::Issuer(name) => name.clone(),
            Self::Scope { scope, .. } => scope.clone(),
            Self::Peer(pattern) => pattern.to_string(),
        }
    }

    /// What the column stands for, in words.
    pub(super) fn meaning(&self) -> String {
        match self {
            Self::Anonymous => "a request without a token".to_owned(),
            Self::Authenticated => "a verified token without roles".to_owned(),
            Self::Role(name) => format!("a verified token with the role {name} alone"),
            Self::Scope { claim, scope } => {
                format!("a verified token with the scope {scope} alone in the claim {claim}")
            }
            Self::Peer(pattern) if pattern.to_string().ends_with('*') => {
                format!("a peer that {pattern} matches, and no narrower pattern of a route")
            }
            Self::Peer(pattern) => format!("the peer {pattern}"),
            Self::Issuer(name) => format!("a verified token of the issuer {name}"),
        }
    }
}

/// The columns of these configs, each once: a role of one config is a column for the other, too.
pub(super) fn columns(configs: &[&Config], kinds: &[ColumnKind]) -> Vec<Column> {
    let mut columns = Vec::new();
    let mut add = |column: Column| {
        if !columns.contains(&column) {
            columns.push(column);
        }
    };
    if kinds.contains(&ColumnKind::Roles) {
        add(Column::Anonymous);
        add(Column::Authenticated);
        for name in configs.iter().flat_map(|config| config.rbac.roles.names()) {
            add(Column::Role(name.to_owned()));
        }
    }
    if kinds.contains(&ColumnKind::Scopes) {
        for scopes in conditions(configs).filter_map(|it| it.scopes.as_ref()) {
            for scope in &scopes.all {
                add(Column::Scope {
                    claim: scopes.claim.clone(),
                    scope: scope.clone(),
                });
            }
        }
    }
    if kinds.contains(&ColumnKind::Peers) {
        for pattern in peer_patterns(configs) {
            add(Column::Peer(pattern.clone()));
        }
    }
    if kinds.contains(&ColumnKind::Issuers) {
        for issuer in conditions(configs).flat_map(|it| &it.issuers) {
            add(Column::Issuer(issuer.clone()));
        }
    }
    columns
}

/// An ID that this pattern covers, and no narrower one of `patterns`.
pub(super) fn sample_peer(pattern: &PeerPattern, patterns: &[&PeerPattern]) -> String {
    let text = pattern.to_string();
    let Some(prefix) = text.strip_suffix('*') else {
        return text;
    };
    let mut sample = format!("{prefix}any");
    let is_narrower = |other: &PeerPattern| other.to_string().len() > text.len();
    // Each round excludes at least one pattern.
    for _ in patterns {
        if patterns
            .iter()
            .any(|other| is_narrower(other) && other.covers(&sample))
        {
            sample.push('x');
        }
    }
    sample
}

/// All patterns for peers that routes name.
pub(super) fn peer_patterns<'c>(configs: &[&'c Config]) -> Vec<&'c PeerPattern> {
    let mut patterns = Vec::new();
    for conditions in conditions(configs) {
        patterns.extend(&conditions.peers);
        if let Some(test) = &conditions.when {
            tested_peers(test, &mut patterns);
        }
    }
    patterns
}

fn tested_peers<'t>(test: &'t Test, patterns: &mut Vec<&'t PeerPattern>) {
    match test {
        Test::All(tests) | Test::Any(tests) => {
            for test in tests {
                tested_peers(test, patterns);
            }
        }
        Test::Not(test) => tested_peers(test, patterns),
        Test::Peer(pattern) => patterns.push(pattern),
        Test::Claim { .. } | Test::Header { .. } => {}
    }
}

/// The conditions of all routes.
fn conditions<'c>(configs: &[&'c Config]) -> impl Iterator<Item = &'c Conditions> {
    let routes = configs
        .iter()
        .flat_map(|config| config.rbac.routes.routes());
    routes
        .flat_map(|route| route.access.alternatives())
        .filter_map(|alternative| match alternative {
            Alternative::Conditions(conditions) => Some(&**conditions),
            Alternative::Public | Alternative::Authenticated => None,
        })
}

/// Claims with one scope.
pub(super) fn scope_claims(claim: &ClaimPath, scope: &str) -> Claims {
    let list = Json::Array(vec![Json::String(scope.into())]);
    let mut names = claim.names().iter().rev();
    let outermost = claim.names().first().map_or("", String::as_str);
    let inner = names.len().saturating_sub(1);
    let value = names
        .by_ref()
        .take(inner)
        .fold(list, |value, name| Json::Object(member(name, value)));
    Claims::from(member(outermost, value))
}

fn member(name: &str, value: Json) -> Object {
    [(name.into(), value)].into_iter().collect()
}
