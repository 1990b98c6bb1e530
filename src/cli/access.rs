//! The access rules of a route, each condition with its result. Every result comes from the filter's own check,
//! run for that condition alone.

use crate::policy::access::{self, Access, AccessRequest, Alternative, Conditions};
use crate::policy::authorize::{Circumstances, Policy};
use crate::policy::condition::{Test, TestResult, evaluate};
use crate::policy::locate::Location;
use crate::policy::principal::Principal;
use crate::policy::roles::RequiredRole;

/// One alternative of `allow`.
#[derive(Debug)]
pub(in crate::cli) struct AlternativeTrace {
    /// `public`, `authenticated` or `conditions`.
    pub(in crate::cli) kind: &'static str,
    /// Whether it grants access.
    pub(in crate::cli) holds: bool,
    /// Its conditions, in the order of the check.
    pub(in crate::cli) conditions: Vec<ConditionTrace>,
}

/// One condition, or a part of `when`.
#[derive(Debug)]
pub(in crate::cli) struct ConditionTrace {
    /// 0 for a condition; more for a part of `when`.
    pub(in crate::cli) depth: usize,
    /// The condition.
    pub(in crate::cli) text: String,
    /// Whether it holds.
    pub(in crate::cli) mark: Mark,
    /// The actual values, if it does not hold.
    pub(in crate::cli) detail: Option<String>,
}

/// The result of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Mark {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// What it tests is absent or of another type.
    Missing,
}

impl Mark {
    /// `yes`, `no`, `missing`
    pub(in crate::cli) fn text(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Missing => "missing",
        }
    }
}

/// The alternatives of the located route.
pub(in crate::cli) fn alternatives<P: Principal>(
    policy: &Policy,
    location: &Location<'_>,
    principal: Option<&P>,
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

struct Checker<'c, P> {
    request: &'c AccessRequest<'c>,
    principal: Option<&'c P>,
}

impl<P: Principal> Checker<'_, P> {
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
        for (text, single) in singles(conditions) {
            let (holds, detail) = self.check(Alternative::Conditions(Box::new(single)));
            let mark = if holds { Mark::Yes } else { Mark::No };
            traces.push(ConditionTrace {
                depth: 0,
                text,
                mark,
                detail,
            });
        }
        if let Some(test) = &conditions.when {
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

/// The conditions as texts, in the order of the filter's check.
pub(in crate::cli) fn texts(conditions: &Conditions) -> Vec<String> {
    singles(conditions)
        .into_iter()
        .map(|(text, _)| text)
        .collect()
}

/// Each condition as a text and on its own.
fn singles(conditions: &Conditions) -> Vec<(String, Conditions)> {
    let Conditions {
        any_role,
        all_roles,
        issuers,
        audiences,
        scopes,
        bind,
        peers,
        when,
    } = conditions;
    let none = Conditions::default;
    let mut all = Vec::new();
    if !issuers.is_empty() {
        let text = format!("issuers: {}", issuers.join(", "));
        let issuers = issuers.clone();
        all.push((text, Conditions { issuers, ..none() }));
    }
    if !audiences.is_empty() {
        let text = format!("audiences: {}", audiences.join(", "));
        let audiences = audiences.clone();
        all.push((
            text,
            Conditions {
                audiences,
                ..none()
            },
        ));
    }
    let names = |roles: &[RequiredRole]| {
        let names: Vec<&str> = roles.iter().map(RequiredRole::name).collect();
        names.join(", ")
    };
    if !any_role.is_empty() {
        let text = format!("any_role: {}", names(any_role));
        let any_role = any_role.clone();
        all.push((text, Conditions { any_role, ..none() }));
    }
    if !all_roles.is_empty() {
        let text = format!("all_roles: {}", names(all_roles));
        let all_roles = all_roles.clone();
        all.push((
            text,
            Conditions {
                all_roles,
                ..none()
            },
        ));
    }
    if let Some(scopes) = scopes {
        let text = format!("scopes in {}: {}", scopes.claim, scopes.all.join(", "));
        let scopes = Some(scopes.clone());
        all.push((text, Conditions { scopes, ..none() }));
    }
    for binding in bind {
        let text = format!("bind: {{{}}} = claim {}", binding.variable, binding.claim);
        let bind = vec![binding.clone()];
        all.push((text, Conditions { bind, ..none() }));
    }
    if !peers.is_empty() {
        let list: Vec<String> = peers.iter().map(ToString::to_string).collect();
        let text = format!("peers: {}", list.join(", "));
        let peers = peers.clone();
        all.push((text, Conditions { peers, ..none() }));
    }
    if let Some(test) = when {
        let when = Some(test.clone());
        all.push(("when".to_owned(), Conditions { when, ..none() }));
    }
    all
}
