//! The least that a principal needs for access.
//!
//! Access rules are a disjunction of conjunctions of conditions without negation: whoever meets more conditions
//! keeps access. So they are described by their minimal principals ([`Term`]), and rules A allow no more than
//! rules B if B allow every term of A. A `when` is one condition here, compared by its text and by `all` and
//! `any`: two tests that are written differently count as different, although they may hold for the same claims.

use std::collections::BTreeSet;
use std::fmt;

use crate::claims::ClaimPath;
use crate::policy::access::{Access, Alternative, Conditions};
use crate::policy::condition::Test;
use crate::policy::pattern::{PathPattern, Segment};
use crate::policy::peer::PeerPattern;
use crate::policy::roles::{RequiredRole, RoleModel};

/// A minimal principal: it meets these conditions and no other.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::cli) struct Term {
    /// Whether it has verified claims.
    pub(in crate::cli) has_claims: bool,
    /// Its roles.
    pub(in crate::cli) roles: BTreeSet<String>,
    /// Its issuer, if that matters.
    pub(in crate::cli) issuer: Option<String>,
    /// An audience that a route asks for.
    pub(in crate::cli) audience: Option<String>,
    /// Its scopes: the claim and the scope.
    pub(in crate::cli) scopes: Vec<(ClaimPath, String)>,
    /// Path variables that equal a claim.
    bindings: Vec<Bound>,
    /// The mTLS peer.
    pub(in crate::cli) peer: Option<PeerPattern>,
    /// A test that holds.
    pub(in crate::cli) when: Option<Test>,
}

/// A path variable that equals a claim.
#[derive(Debug, Clone, PartialEq)]
struct Bound {
    /// The index of its segment.
    index: usize,
    /// Whether it is the rest of the path, which is more than a segment.
    is_tail: bool,
    name: String,
    claim: ClaimPath,
}

impl Bound {
    fn is_same_as(&self, other: &Self) -> bool {
        let key = |it: &Self| (it.index, it.is_tail);
        key(self) == key(other) && self.claim == other.claim
    }
}

/// The most sets of roles of one alternative.
const MAX_ROLE_SETS: usize = 4_096;

/// The access rules of a route, and what they need to be understood.
#[derive(Clone, Copy)]
pub(in crate::cli) struct Rules<'p> {
    /// The rules.
    pub(in crate::cli) access: &'p Access,
    /// The route's path, for the position of variables; `None` without a route.
    pub(in crate::cli) path: Option<&'p PathPattern>,
    /// Which roles include others.
    pub(in crate::cli) roles: &'p RoleModel,
    /// The names of the accepted issuers.
    pub(in crate::cli) issuers: &'p [String],
}

impl Rules<'_> {
    /// The terms of all alternatives, except those of the alternative with this index.
    pub(in crate::cli) fn terms_of(&self, index: usize) -> Vec<Term> {
        match self.access.alternatives().get(index) {
            None => Vec::new(),
            Some(Alternative::Public) => vec![Term::default()],
            Some(Alternative::Authenticated) => vec![Term {
                has_claims: true,
                ..Term::default()
            }],
            Some(Alternative::Conditions(conditions)) => self.terms_of_conditions(conditions),
        }
    }

    /// The terms of all alternatives. Where issuers matter to `other`, each term names its issuer.
    pub(in crate::cli) fn terms(&self, other: Option<Self>) -> Vec<Term> {
        let count = self.access.alternatives().len();
        let terms = (0..count).flat_map(|index| self.terms_of(index));
        let other_asks = other.is_some_and(|other| asks_for_issuers(other.access));
        if !other_asks {
            return terms.collect();
        }
        let with_issuers = |term: Term| {
            if !term.has_claims || term.issuer.is_some() {
                return vec![term];
            }
            let named = |issuer: &String| Term {
                issuer: Some(issuer.clone()),
                ..term.clone()
            };
            self.issuers.iter().map(named).collect()
        };
        terms.flat_map(with_issuers).collect()
    }

    fn terms_of_conditions(&self, conditions: &Conditions) -> Vec<Term> {
        let one_of = |list: &[String]| -> Vec<Option<String>> {
            match list {
                [] => vec![None],
                list => list.iter().cloned().map(Some).collect(),
            }
        };
        let peers: Vec<Option<&PeerPattern>> = match conditions.peers.as_slice() {
            [] => vec![None],
            list => list.iter().map(Some).collect(),
        };
        let base = Term {
            has_claims: Alternative::Conditions(Box::new(conditions.clone())).needs_claims(),
            scopes: conditions
                .scopes
                .iter()
                .flat_map(|scopes| {
                    scopes
                        .all
                        .iter()
                        .map(|it| (scopes.claim.clone(), it.clone()))
                })
                .collect(),
            bindings: self.bindings(conditions),
            when: conditions.when.clone(),
            ..Term::default()
        };
        let roles = self.role_sets(conditions);
        let mut terms = Vec::new();
        for issuer in one_of(&conditions.issuers) {
            for audience in one_of(&conditions.audiences) {
                for roles in &roles {
                    for peer in &peers {
                        let mut term = base.clone();
                        term.issuer.clone_from(&issuer);
                        term.audience.clone_from(&audience);
                        term.roles.clone_from(roles);
                        term.peer = peer.cloned();
                        terms.push(term);
                    }
                }
            }
        }
        terms
    }

    /// The minimal sets of roles that meet the conditions: each role may come with another one that includes it.
    fn role_sets(&self, conditions: &Conditions) -> Vec<BTreeSet<String>> {
        if !self.has_few_role_sets(conditions) {
            return self.direct_role_sets(conditions);
        }
        let mut choices: Vec<Vec<&str>> = Vec::new();
        if !conditions.any_role.is_empty() {
            let givers = conditions
                .any_role
                .iter()
                .flat_map(|role| self.roles.givers(role));
            let givers: BTreeSet<&str> = givers.collect();
            choices.push(givers.into_iter().collect());
        }
        let all = conditions.all_roles.iter();
        choices.extend(all.map(|role| self.roles.givers(role)));
        let mut sets = BTreeSet::from([BTreeSet::new()]);
        for names in choices {
            let with = |set: &BTreeSet<String>, name: &&str| {
                let mut set = set.clone();
                set.insert((*name).to_owned());
                set
            };
            sets = sets
                .iter()
                .flat_map(|set| names.iter().map(move |name| with(set, name)))
                .collect();
        }
        sets.into_iter().collect()
    }

    /// Whether the terms are all: with too many sets of roles, only those that the route names are terms.
    pub(in crate::cli) fn is_complete(&self) -> bool {
        self.access
            .alternatives()
            .iter()
            .all(|alternative| match alternative {
                Alternative::Conditions(conditions) => self.has_few_role_sets(conditions),
                Alternative::Public | Alternative::Authenticated => true,
            })
    }

    fn has_few_role_sets(&self, conditions: &Conditions) -> bool {
        let any = conditions
            .any_role
            .iter()
            .map(|role| self.roles.givers(role).len());
        let any = any.fold(0_usize, usize::saturating_add).max(1);
        let all = conditions
            .all_roles
            .iter()
            .map(|role| self.roles.givers(role).len());
        all.fold(any, usize::saturating_mul) <= MAX_ROLE_SETS
    }

    /// The sets of the roles that the conditions name.
    fn direct_role_sets(&self, conditions: &Conditions) -> Vec<BTreeSet<String>> {
        let name = |role: &RequiredRole| role.name().to_owned();
        let all: BTreeSet<String> = conditions.all_roles.iter().map(name).collect();
        if conditions.any_role.is_empty() {
            return vec![all];
        }
        let any = conditions.any_role.iter();
        any.map(|role| all.iter().cloned().chain([name(role)]).collect())
            .collect()
    }

    /// Whether a term needs no less than another one, so that it is not worth naming beside it.
    pub(in crate::cli) fn is_stronger(&self, term: &Term, than: &Term) -> bool {
        let rest = |term: &Term| Term {
            roles: BTreeSet::new(),
            ..term.clone()
        };
        let gives = |held: &Term, needed: &Term| {
            let given = |role: &String| held.roles.iter().any(|name| self.roles.gives(name, role));
            needed.roles.iter().all(given)
        };
        // Of two terms that give each other's roles, the one with fewer is named.
        let size = |term: &Term| (term.roles.len(), term.roles.clone());
        term != than
            && rest(term) == rest(than)
            && gives(term, than)
            && (!gives(than, term) || size(term) > size(than))
    }

    /// The bindings of a condition.
    fn bindings(&self, conditions: &Conditions) -> Vec<Bound> {
        let position = |name: &str| {
            let segments = self.path.map_or(&[][..], PathPattern::segments);
            segments
                .iter()
                .position(|segment| segment.variable() == Some(name))
        };
        let bindings = conditions.bind.iter();
        bindings
            .map(|binding| {
                let index = position(&binding.variable).unwrap_or(usize::MAX);
                let segment = self.path.and_then(|path| path.segments().get(index));
                Bound {
                    index,
                    is_tail: matches!(segment, Some(Segment::Tail(_))),
                    name: binding.variable.clone(),
                    claim: binding.claim.clone(),
                }
            })
            .collect()
    }

    /// Whether a principal that meets these conditions and no other has access. `except` leaves out one
    /// alternative.
    pub(in crate::cli) fn allow(&self, term: &Term, except: Option<usize>) -> bool {
        let alternatives = self.access.alternatives().iter().enumerate();
        alternatives
            .filter(|(index, _)| Some(*index) != except)
            .any(|(_, alternative)| match alternative {
                Alternative::Public => true,
                Alternative::Authenticated => term.has_claims,
                Alternative::Conditions(conditions) => {
                    (term.has_claims || !alternative.needs_claims()) && self.meets(term, conditions)
                }
            })
    }

    fn meets(&self, term: &Term, conditions: &Conditions) -> bool {
        let Conditions {
            any_role,
            all_roles,
            issuers,
            audiences,
            scopes,
            bind: _,
            peers,
            when,
        } = conditions;
        let roles = self.roles.set_of(term.roles.iter().map(String::as_str));
        let names = |list: &[String], name: &Option<String>| {
            list.is_empty() || name.as_ref().is_some_and(|name| list.contains(name))
        };
        let scopes_held = scopes.as_ref().is_none_or(|scopes| {
            let held = |scope: &String| {
                let needed = (&scopes.claim, scope);
                term.scopes
                    .iter()
                    .any(|(claim, scope)| (claim, scope) == needed)
            };
            scopes.all.iter().all(held)
        });
        let bound = |needed: &Bound| term.bindings.iter().any(|held| held.is_same_as(needed));
        (any_role.is_empty() || any_role.iter().any(|role| roles.has(role)))
            && all_roles.iter().all(|role| roles.has(role))
            && names(issuers, &term.issuer)
            && names(audiences, &term.audience)
            && scopes_held
            && self.bindings(conditions).iter().all(bound)
            && (peers.is_empty()
                || term
                    .peer
                    .as_ref()
                    .is_some_and(|peer| is_covered(peer, peers)))
            && when
                .as_ref()
                .is_none_or(|needed| term.when.as_ref().is_some_and(|held| implies(held, needed)))
    }
}

fn asks_for_issuers(access: &Access) -> bool {
    access.alternatives().iter().any(|alternative| {
        matches!(alternative, Alternative::Conditions(conditions) if !conditions.issuers.is_empty())
    })
}

/// Whether every ID that a pattern matches is matched by one of these.
fn is_covered(peer: &PeerPattern, patterns: &[PeerPattern]) -> bool {
    patterns.iter().any(|pattern| pattern.covers_all_of(peer))
}

/// Whether a test holds wherever another one does, as far as their structure shows.
fn implies(held: &Test, needed: &Test) -> bool {
    if held == needed {
        return true;
    }
    match (held, needed) {
        (_, Test::All(tests)) => tests.iter().all(|test| implies(held, test)),
        (Test::Any(tests), _) => tests.iter().all(|test| implies(test, needed)),
        (_, Test::Any(tests)) if tests.iter().any(|test| implies(held, test)) => true,
        (Test::All(tests), _) => tests.iter().any(|test| implies(test, needed)),
        _ => false,
    }
}

impl fmt::Display for Term {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let roles: Vec<&str> = self.roles.iter().map(String::as_str).collect();
        match roles.as_slice() {
            [] => {}
            [role] => parts.push(format!("role {role}")),
            roles => parts.push(format!("roles {}", roles.join(" and "))),
        }
        parts.extend(self.issuer.iter().map(|issuer| format!("issuer {issuer}")));
        parts.extend(
            self.audience
                .iter()
                .map(|audience| format!("audience {audience}")),
        );
        parts.extend(
            self.scopes
                .iter()
                .map(|(_, scope)| format!("scope {scope}")),
        );
        let bound = |it: &Bound| format!("{{{}}} = claim {}", it.name, it.claim);
        parts.extend(self.bindings.iter().map(bound));
        parts.extend(self.peer.iter().map(|peer| format!("peer {peer}")));
        parts.extend(self.when.iter().map(|test| format!("when {test}")));
        match (self.has_claims, parts.is_empty()) {
            (false, true) => formatter.write_str("anyone"),
            (true, true) => formatter.write_str("any verified claims"),
            (_, false) => formatter.write_str(&parts.join(", ")),
        }
    }
}
