//! Access rules in words.

use crate::policy::access::{Alternative, Binding, Conditions, Scopes};
use crate::policy::condition::Test;
use crate::policy::peer::PeerPattern;
use crate::policy::roles::RequiredRole;

/// The condition of `allow: authenticated`.
pub(super) const AUTHENTICATED: &str = "a verified token";

/// The conditions of an alternative, all of which must hold.
pub(super) fn alternative(alternative: &Alternative) -> Vec<String> {
    match alternative {
        Alternative::Public => vec!["public".to_owned()],
        Alternative::Authenticated => vec![AUTHENTICATED.to_owned()],
        Alternative::Conditions(it) => conditions(it),
    }
}

fn conditions(conditions: &Conditions) -> Vec<String> {
    let Conditions {
        any_role: any,
        all_roles: all,
        issuers: from,
        audiences: to,
        scopes: scope,
        bind,
        peers: patterns,
        when,
    } = conditions;
    let mut words = Vec::new();
    words.extend(any_role(any));
    words.extend(all_roles(all));
    words.extend(issuers(from));
    words.extend(audiences(to));
    words.extend(scope.iter().map(scopes));
    words.extend(bind.iter().map(binding));
    words.extend(peers(patterns));
    words.extend(when.iter().map(test));
    words
}

pub(super) fn any_role(roles: &[RequiredRole]) -> Option<String> {
    one_of(
        "role",
        &roles.iter().map(RequiredRole::name).collect::<Vec<_>>(),
    )
}

pub(super) fn all_roles(roles: &[RequiredRole]) -> Option<String> {
    let names: Vec<&str> = roles.iter().map(RequiredRole::name).collect();
    match names.as_slice() {
        [] => None,
        [name] => Some(format!("role {name}")),
        names => Some(format!("all roles of [{}]", names.join(", "))),
    }
}

/// A role that a route requires, and the role that includes it.
pub(super) fn held_role(required: &str, role: Option<&str>) -> String {
    match role {
        Some(role) if role != required => format!("role {required}, which {role} includes"),
        _ => format!("role {required}"),
    }
}

pub(super) fn issuers(issuers: &[String]) -> Option<String> {
    one_of("issuer", issuers)
}

pub(super) fn audiences(audiences: &[String]) -> Option<String> {
    one_of("audience", audiences)
}

pub(super) fn scopes(scopes: &Scopes) -> String {
    let noun = if scopes.all.len() == 1 {
        "scope"
    } else {
        "scopes"
    };
    // Most configs have them in the claim `scope`.
    let claim = match scopes.claim.names() {
        [name] if name == "scope" => String::new(),
        _ => format!(" in the claim {}", scopes.claim),
    };
    format!("{noun} {}{claim}", scopes.all.join(" and "))
}

pub(super) fn binding(binding: &Binding) -> String {
    format!(
        "{{{}}} equals the claim {}",
        binding.variable, binding.claim
    )
}

pub(super) fn peers(patterns: &[PeerPattern]) -> Option<String> {
    let names: Vec<String> = patterns.iter().map(ToString::to_string).collect();
    one_of("peer", &names)
}

/// A test as the logs show it.
pub(super) fn test(test: &Test) -> String {
    test.to_string()
}

fn one_of(noun: &str, names: &[impl AsRef<str>]) -> Option<String> {
    match names {
        [] => None,
        [name] => Some(format!("{noun} {}", name.as_ref())),
        names => {
            let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
            Some(format!("{noun} any of [{}]", names.join(", ")))
        }
    }
}
