//! Checks that no header is used for conflicting purposes.
//!
//! Names are compared folded (see [`HeaderName::folded`]), because backends may treat names with equal folded
//! forms as one header.

use super::path::ConfigPath;
use crate::header_name::HeaderName;

/// A header that the config names.
#[derive(Debug)]
pub(super) struct HeaderUse {
    pub(super) name: HeaderName,
    pub(super) path: ConfigPath,
    pub(super) purpose: Purpose,
    /// Whether it is a default and not in the config.
    pub(super) is_default: bool,
}

/// What a header is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// It carries the token.
    Token,
    /// It carries the correlation ID to the upstream.
    Correlation,
    /// It is set from verified claims.
    Identity,
    /// It is removed from every request.
    Stripped,
    /// A correlation ID is accepted from it.
    Accepted,
    /// A condition tests it.
    Tested,
}

/// Two conflicting purposes of one header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderConflict {
    /// The filter sets or removes the header for two purposes.
    #[error("{name} is the same header as {other}: give each its own")]
    Purposes {
        /// The header.
        name: HeaderName,
        /// Its other use.
        other: ConfigPath,
    },
    /// Correlation IDs are accepted from the token's header.
    #[error(
        "{name} is the same header as {other}: a token must not become a correlation ID, since IDs are logged"
    )]
    TokenAsCorrelationId {
        /// The header.
        name: HeaderName,
        /// Its other use.
        other: ConfigPath,
    },
    /// A condition tests a header that the filter sets or removes.
    #[error(
        "{name} is the same header as {other}: the condition sees what the client sent, which proves nothing; test the claim instead"
    )]
    Tested {
        /// The header.
        name: HeaderName,
        /// Its other use.
        other: ConfigPath,
    },
}

/// All conflicts: at most one for each header, and one for each condition.
pub(super) fn conflicts(mut uses: Vec<HeaderUse>) -> Vec<(ConfigPath, HeaderConflict)> {
    uses.sort_by_key(|header| header.purpose);
    let mut found = Vec::new();
    let mut earlier: Vec<(String, &HeaderUse)> = Vec::new();
    let mut reported: Vec<String> = Vec::new();
    for header in &uses {
        let folded = header.name.folded();
        let rival = earlier
            .iter()
            .find(|(name, other)| *name == folded && exclude(other.purpose, header.purpose));
        let is_condition = header.purpose == Purpose::Tested;
        if let Some((_, rival)) = rival
            && (is_condition || !reported.contains(&folded))
        {
            // Report the entry that is in the config, not the default.
            let (here, other) = if header.is_default {
                (*rival, header)
            } else {
                (header, *rival)
            };
            if !is_condition {
                reported.push(folded.clone());
            }
            let name = here.name.clone();
            let path = other.path.clone();
            found.push((
                here.path.clone(),
                conflict(rival.purpose, header.purpose, name, path),
            ));
        }
        earlier.push((folded, header));
    }
    found
}

/// Whether two purposes conflict; `first` must not be greater than `second`.
fn exclude(first: Purpose, second: Purpose) -> bool {
    match (first, second) {
        (Purpose::Accepted | Purpose::Tested, _) => false,
        (Purpose::Correlation | Purpose::Stripped, Purpose::Accepted) => false,
        (
            Purpose::Token | Purpose::Correlation | Purpose::Identity | Purpose::Stripped,
            Purpose::Token
            | Purpose::Correlation
            | Purpose::Identity
            | Purpose::Stripped
            | Purpose::Accepted
            | Purpose::Tested,
        ) => true,
    }
}

fn conflict(
    first: Purpose,
    second: Purpose,
    name: HeaderName,
    other: ConfigPath,
) -> HeaderConflict {
    match (first, second) {
        (_, Purpose::Tested) => HeaderConflict::Tested { name, other },
        (Purpose::Token, Purpose::Accepted) => HeaderConflict::TokenAsCorrelationId { name, other },
        _ => HeaderConflict::Purposes { name, other },
    }
}
