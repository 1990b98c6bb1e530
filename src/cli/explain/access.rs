//! The access rules of a route, each condition with its result. Every result comes from the filter's own check,
//! run for that condition alone.

use crate::gate::trace::TracedPrincipal;
use crate::policy::access::{self, Access, AccessRequest, Alternative, Conditions};
use crate::policy::authorize::{Circumstances, Policy};
use crate::policy::condition::{Test, TestResult, evaluate};
use crate::policy::locate::Location;

/// One alternative of `allow`.
#[derive(Debug)]
pub(super) struct AlternativeTrace {
    /// `public`, `authenticated` or `conditions`.
    pub(super) kind: &'static str,
    /// Whether it grants access.
    pub(super) holds: bool,
    /// Its conditions, in the order of the check.
    pub(super) conditions: Vec<ConditionTrace>,
}

/// One condition, or a part of `when`.
#[derive(Debug)]
pub(super) struct ConditionTrace {
    /// 0 for a condition; more for a part of `when`.
    pub(super) depth: usize,
    /// The condition.
    pub(super) text: String,
    /// Whether it holds.
    pub(super) mark: Mark,
    /// The actual values, if it does not hold.
    pub(super) detail: Option<String>,
}

/// The result of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// What it tests is absent or of another type.
    Missing,
}

impl Mark {
    /// `yes`, `no`, `missing`
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Missing => "missing",
        }
    }
}

/// The alternatives of the located route.
pub(super) fn alternatives(
    policy: &Policy,
    location: &Location<'_>,
    principal: Option<&TracedPrincipal>,
    circumstances: &Circumstances<'_>,
    peers: &[String],
) -> Vec<AlternativeTrace> {
    let Some(route) = location.route.and_then(|id| policy.routes.get(id)) else {
        return Vec::new();
    };
    let request = policy.access_request(route, location, principal, circumstances, peers);
    let checker = Checker {
        request: &request,
        principal,
    };
    let alternatives = route.access.alternatives().iter();
    alternatives
        .map(|alternative| checker.alternative(alternative))
        .collect()
}

struct Checker<'c> {
    request: &'c AccessRequest<'c>,
    principal: Option<&'c TracedPrincipal>,
}

impl Checker<'_> {
    fn alternative(&self, alternative: &Alternative) -> AlternativeTrace {
        let (holds, _) = self.check(alternative.clone());
        let (kind, conditions) = match alternative {
            Alternative::Public => ("public", Vec::new()),
            Alternative::Authenticated => ("authenticated", Vec::new()),
            Alternative::Conditions(conditions) => ("conditions", self.conditions(conditions)),
        };
        AlternativeTrace {
            kind,
            holds,
            conditions,
        }
    }

    /// The result of the filter's check, and why it fails.
    fn check(&self, alternative: Alternative) -> (bool, Option<String>) {
        let Ok(access) = Access::new(vec![alternative]) else {
            return (false, None);
        };
        match access::check(&access, self.principal, self.request) {
            Ok(_) => (true, None),
            Err(denial) => {
                let code = denial.reason.code().to_owned();
                (false, Some(denial.explanation.unwrap_or(code)))
            }
        }
    }

    /// Each condition on its own, in the order of the filter's check.
    fn conditions(&self, conditions: &Conditions) -> Vec<ConditionTrace> {
        let mut traces = Vec::new();
        let mut add = |text: String, single: Conditions| {
            let (holds, detail) = self.check(Alternative::Conditions(Box::new(single)));
            let mark = if holds { Mark::Yes } else { Mark::No };
            traces.push(ConditionTrace {
                depth: 0,
                text,
                mark,
                detail,
            });
        };
        let names = |list: &[String]| list.join(", ");
        if !conditions.issuers.is_empty() {
            let issuers = conditions.issuers.clone();
            let text = format!("issuers: {}", names(&issuers));
            add(
                text,
                Conditions {
                    issuers,
                    ..Conditions::default()
                },
            );
        }
        if !conditions.audiences.is_empty() {
            let audiences = conditions.audiences.clone();
            let text = format!("audiences: {}", names(&audiences));
            add(
                text,
                Conditions {
                    audiences,
                    ..Conditions::default()
                },
            );
        }
        if !conditions.any_role.is_empty() {
            let any_role = conditions.any_role.clone();
            let roles: Vec<&str> = any_role.iter().map(|role| role.name()).collect();
            let text = format!("any_role: {}", roles.join(", "));
            add(
                text,
                Conditions {
                    any_role,
                    ..Conditions::default()
                },
            );
        }
        if !conditions.all_roles.is_empty() {
            let all_roles = conditions.all_roles.clone();
            let roles: Vec<&str> = all_roles.iter().map(|role| role.name()).collect();
            let text = format!("all_roles: {}", roles.join(", "));
            add(
                text,
                Conditions {
                    all_roles,
                    ..Conditions::default()
                },
            );
        }
        if let Some(scopes) = &conditions.scopes {
            let text = format!("scopes in {}: {}", scopes.claim, names(&scopes.all));
            add(
                text,
                Conditions {
                    scopes: Some(scopes.clone()),
                    ..Conditions::default()
                },
            );
        }
        for binding in &conditions.bind {
            let text = format!("bind: {{{}}} = claim {}", binding.variable, binding.claim);
            add(
                text,
                Conditions {
                    bind: vec![binding.clone()],
                    ..Conditions::default()
                },
            );
        }
        if !conditions.peers.is_empty() {
            let peers = conditions.peers.clone();
            let list: Vec<String> = peers.iter().map(ToString::to_string).collect();
            let text = format!("peers: {}", list.join(", "));
            add(
                text,
                Conditions {
                    peers,
                    ..Conditions::default()
                },
            );
        }
        if let Some(test) = &conditions.when {
            let text = "when".to_owned();
            add(
                text,
                Conditions {
                    when: Some(test.clone()),
                    ..Conditions::default()
                },
            );
            self.test(test, 1, &mut traces);
        }
        traces
    }

    /// A test and its parts, by the filter's evaluation.
    fn test(&self, test: &Test, depth: usize, traces: &mut Vec<ConditionTrace>) {
        let (text, parts): (String, &[Test]) = match test {
            Test::All(tests) => ("all".to_owned(), tests),
            Test::Any(tests) => ("any".to_owned(), tests),
            Test::Not(test) => ("not".to_owned(), std::slice::from_ref(&**test)),
            test => (test.to_string(), &[]),
        };
        traces.push(ConditionTrace {
            depth,
            text,
            mark: match evaluate(test, self.request) {
                TestResult::Holds => Mark::Yes,
                TestResult::Fails => Mark::No,
                TestResult::Missing => Mark::Missing,
            },
            detail: None,
        });
        for part in parts {
            self.test(part, depth.saturating_add(1), traces);
        }
    }
}
