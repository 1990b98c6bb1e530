//! What tests cover: routes, alternatives, conditions.

use crate::cli::access::{self, AlternativeTrace, Mark};
use crate::config::Config;
use crate::config::policy_test::NamedTest;
use crate::policy::access::Alternative;
use crate::policy::authorize::Policy;
use crate::policy::route::{Route, RouteId};

/// What the tests of one config cover.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    routes: Vec<RouteCoverage>,
}

#[derive(Debug)]
struct RouteCoverage {
    name: String,
    decides: bool,
    alternatives: Vec<AlternativeCoverage>,
}

#[derive(Debug)]
struct AlternativeCoverage {
    text: String,
    grants: bool,
    /// Whether it needs no claims.
    is_for_peers: bool,
    conditions: Vec<ConditionCoverage>,
}

#[derive(Debug)]
struct ConditionCoverage {
    text: String,
    /// A test that only this condition keeps out.
    keeps_out: bool,
}

impl Coverage {
    pub(super) fn new(config: &Config) -> Self {
        let routes = config.rbac.routes.routes().iter();
        Self {
            routes: routes.map(RouteCoverage::new).collect(),
        }
    }

    /// Counts a test.
    pub(super) fn add(&mut self, test: &NamedTest<'_>, policy: &Policy) {
        test.inspect(policy, |location, principal, circumstances, peers| {
            let route = location.route.map(RouteId::index);
            let Some(route) = route.and_then(|index| self.routes.get_mut(index)) else {
                return;
            };
            route.decides = true;
            if location.is_preflight {
                return;
            }
            let traces = access::alternatives(policy, location, principal, circumstances, peers);
            let is_denied = !traces.iter().any(|trace| trace.holds);
            for (alternative, trace) in route.alternatives.iter_mut().zip(&traces) {
                alternative.grants |= trace.holds;
                if is_denied {
                    alternative.add_denied(trace, principal.is_some());
                }
            }
        });
    }

    /// The share of what is covered, in percent; 100 if there is nothing to cover.
    pub(super) fn percent(&self) -> f64 {
        let all = self.items().count();
        let covered = self.items().filter(|(_, covered)| *covered).count();
        if all == 0 {
            return 100.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a percentage")]
        let share = covered as f64 / all as f64;
        share * 100.0
    }

    /// The number of what is covered, and of what there is.
    pub(super) fn counts(&self) -> (usize, usize) {
        let covered = self.items().filter(|(_, covered)| *covered).count();
        (covered, self.items().count())
    }

    /// What no test covers, in the order of the config.
    pub(super) fn missing(&self) -> Vec<String> {
        self.items()
            .filter(|(_, covered)| !covered)
            .map(|(text, _)| text)
            .collect()
    }

    fn items(&self) -> impl Iterator<Item = (String, bool)> {
        self.routes.iter().flat_map(|route| {
            let name = &route.name;
            let mut items = vec![(
                format!("route {name}: no test request is decided by it"),
                route.decides,
            )];
            for alternative in &route.alternatives {
                let text = &alternative.text;
                items.push((
                    format!("route {name}, {text}: no test request is allowed by it"),
                    alternative.grants,
                ));
                for condition in &alternative.conditions {
                    let condition_text = &condition.text;
                    items.push((
                        format!(
                            "route {name}, {text}: no test request is denied only by `{condition_text}`"
                        ),
                        condition.keeps_out,
                    ));
                }
            }
            items
        })
    }
}

impl RouteCoverage {
    fn new(route: &Route) -> Self {
        let alternatives = route.access.alternatives().iter().enumerate();
        Self {
            name: route.name.clone(),
            decides: false,
            alternatives: alternatives
                .map(|(index, alternative)| AlternativeCoverage::new(index, alternative))
                .collect(),
        }
    }
}

impl AlternativeCoverage {
    fn new(index: usize, alternative: &Alternative) -> Self {
        let conditions = match alternative {
            Alternative::Public => Vec::new(),
            Alternative::Authenticated => vec!["verified claims".to_owned()],
            Alternative::Conditions(conditions) => access::texts(conditions),
        };
        let condition = |text| ConditionCoverage {
            text,
            keeps_out: false,
        };
        Self {
            text: format!("allow[{index}]"),
            grants: false,
            is_for_peers: !alternative.needs_claims(),
            conditions: conditions.into_iter().map(condition).collect(),
        }
    }

    /// Counts a request that every alternative denies.
    fn add_denied(&mut self, trace: &AlternativeTrace, has_claims: bool) {
        // `authenticated` has no conditions in a trace: it fails without claims.
        if trace.conditions.is_empty() {
            for condition in &mut self.conditions {
                condition.keeps_out = true;
            }
            return;
        }
        let whole = trace
            .conditions
            .iter()
            .filter(|condition| condition.depth == 0);
        let failed: Vec<usize> = whole
            .enumerate()
            .filter(|(_, condition)| condition.mark != Mark::Yes)
            .map(|(index, _)| index)
            .collect();
        // Without claims, no condition on claims holds, so that none shows anything.
        if (has_claims || self.is_for_peers)
            && let [only] = failed.as_slice()
            && let Some(condition) = self.conditions.get_mut(*only)
        {
            condition.keeps_out = true;
        }
    }
}
