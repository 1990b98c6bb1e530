//! Why a subject is refused: the test that failed, what was there and what was needed.
//!
//! Values of claims appear for roles, scopes and path variables only, bounded in number and length.

use std::fmt::{self, Display, Formatter};

use crate::claims::ClaimPath;
use crate::denial::Reason;

/// A refusal: the reason, and what the log says beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The deny reason.
    pub reason: Reason,
    /// The test that failed. For the log only, never for the response.
    pub explanation: Explanation,
}

/// The test that failed.
#[derive(Debug, Clone, PartialEq)]
pub enum Explanation {
    /// There were no verified claims.
    ClaimsMissing,
    /// None of the roles that would suffice, or not all of those that must be there.
    Role {
        /// The roles in the claims.
        has: Names,
        /// The roles that the route asks for.
        needs: Names,
        /// Whether one of them suffices.
        any: bool,
    },
    /// A scope is not there.
    Scope {
        /// The scopes in the claims.
        has: Names,
        /// The scopes that the route asks for, all of them.
        needs: Names,
    },
    /// The claims are not for any of these audiences.
    Audience {
        /// The audiences that the route accepts.
        needs: Names,
    },
    /// The claims are from none of these issuers.
    Issuer {
        /// The issuers that the route accepts.
        needs: Names,
    },
    /// A path variable does not equal a claim.
    Binding {
        /// The variable's name.
        variable: String,
        /// Its value; `None` if the route has no such variable.
        value: Option<String>,
        /// The claim.
        claim: ClaimPath,
        /// Whether the claim is absent, or of a type that cannot equal it.
        missing: bool,
    },
    /// The mTLS peer is none of these.
    Peer {
        /// The patterns that the route accepts.
        needs: Names,
        /// Whether there is no peer at all.
        missing: bool,
    },
    /// A condition does not hold.
    Condition {
        /// The condition, as the config has it.
        test: String,
        /// Whether what it looks at is absent, or of another type.
        missing: bool,
    },
    /// Nothing but the strength or the age of the user's authentication is in the way.
    StepUp {
        /// The condition, as the config has it.
        test: String,
        /// What to ask for.
        step_up: StepUp,
    },
}

/// What to ask of the user in the challenge (RFC 9470 §3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepUp {
    /// `acr_values`, any of which suffices; visible ASCII without quotes and backslashes.
    pub acr_values: Vec<String>,
    /// `max_age`, in seconds.
    pub max_age: Option<u64>,
}

/// A bounded list of names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// The first of them, each cut to 64 characters and without control characters.
    pub shown: Vec<String>,
    /// How many there are beyond these.
    pub more: usize,
}

impl Refusal {
    /// What to ask for in the challenge, if the reason is [`Reason::StepUp`].
    pub fn step_up(&self) -> Option<&StepUp> {
        match &self.explanation {
            Explanation::StepUp { step_up, .. } => Some(step_up),
            _ => None,
        }
    }
}

impl Names {
    /// As many names as a log line bears.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        const SHOWN: usize = 20;
        let mut names = names.into_iter();
        Self {
            shown: names.by_ref().take(SHOWN).map(cut).collect(),
            more: names.count(),
        }
    }
}

/// At most 64 characters, none of them a control character.
pub(crate) fn cut(text: &str) -> String {
    const LENGTH: usize = 64;
    let mut characters = text.chars();
    let mut short: String = characters
        .by_ref()
        .take(LENGTH)
        .map(|character| match character {
            _ if character.is_control() => char::REPLACEMENT_CHARACTER,
            _ => character,
        })
        .collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

impl Display for Names {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{}", self.shown.join(", "))?;
        if self.more > 0 {
            write!(formatter, " and {} more", self.more)?;
        }
        formatter.write_str("]")
    }
}

impl Display for Explanation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClaimsMissing => formatter.write_str("claims: none"),
            Self::Role { has, needs, any } => {
                let how = if *any { "any" } else { "all" };
                write!(formatter, "role: has {has}, needs {how} of {needs}")
            }
            Self::Scope { has, needs } => {
                write!(formatter, "scope: has {has}, needs all of {needs}")
            }
            Self::Audience { needs } => write!(formatter, "audience: needs any of {needs}"),
            Self::Issuer { needs } => write!(formatter, "issuer: needs any of {needs}"),
            Self::Binding {
                variable,
                value,
                claim,
                missing,
            } => match (value, missing) {
                (None, _) => write!(formatter, "binding: the path has no {{{variable}}}"),
                (Some(value), true) => write!(
                    formatter,
                    "binding: {{{variable}}} is {value:?}, claim {claim} is absent or of another type"
                ),
                (Some(value), false) => write!(
                    formatter,
                    "binding: {{{variable}}} is {value:?}, claim {claim} differs"
                ),
            },
            Self::Peer { needs, missing } => {
                let what = if *missing {
                    "there is none"
                } else {
                    "it differs"
                };
                write!(formatter, "peer: {what}, needs any of {needs}")
            }
            Self::Condition { test, missing } => {
                let what = if *missing {
                    "absent, of another type, or not all alike"
                } else {
                    "does not hold"
                };
                write!(formatter, "condition: {test}: {what}")
            }
            Self::StepUp { test, .. } => write!(formatter, "step_up: {test}: does not hold"),
        }
    }
}
