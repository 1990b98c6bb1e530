//! The rules of the deciding routes besides `allow`: path rules, `enforce_percent`, CORS preflights.

use super::settings::{Effect, SettingChange};
use crate::config::Config;
use crate::policy::path::{PathRules, Resolve, Retain};
use crate::policy::route::Route;

/// What the route that decides now accepts more than the one before, and less.
pub(super) fn compare(
    (old, before): (&Config, &Route),
    (new, now): (&Config, &Route),
) -> (Vec<String>, Vec<String>) {
    let (mut looser, mut stricter) = (Vec::new(), Vec::new());
    let (old_percent, new_percent) = (before.enforce_percent.get(), now.enforce_percent.get());
    if new_percent != old_percent {
        let text = format!("enforce_percent {old_percent} -> {new_percent}");
        let list = if new_percent < old_percent {
            &mut looser
        } else {
            &mut stricter
        };
        list.push(text);
    }
    let (old_rules, new_rules) = (
        accepted(&old.rbac.routes.rules_of(before)),
        accepted(&new.rbac.routes.rules_of(now)),
    );
    for ((class, was), (_, is)) in old_rules.into_iter().zip(new_rules) {
        match (was, is) {
            (false, true) => looser.push(format!("paths with {class} are accepted")),
            (true, false) => stricter.push(format!("paths with {class} are rejected")),
            _ => {}
        }
    }
    let preflight = |config: &Config, route: &Route| {
        config.rbac.cors_preflight && !route.access.is_for_peers_only()
    };
    match (preflight(old, before), preflight(new, now)) {
        (false, true) => looser.push("CORS preflights are allowed without claims".to_owned()),
        (true, false) => stricter.push("CORS preflights need claims".to_owned()),
        _ => {}
    }
    (looser, stricter)
}

/// Each class of ambiguous paths, and whether the rules accept it.
fn accepted(rules: &PathRules) -> [(&'static str, bool); 7] {
    [
        ("dot_segments", rules.dot_segments == Resolve::Normalize),
        ("empty_segments", rules.empty_segments == Resolve::Normalize),
        ("encoded_slash", rules.encoded_slash == Retain::Keep),
        ("double_encoding", rules.double_encoding == Retain::Keep),
        ("semicolon", rules.semicolon == Retain::Keep),
        ("backslash", rules.backslash == Retain::Keep),
        ("encoded_query", rules.encoded_query == Retain::Keep),
    ]
}

/// Which kept paths are accepted depends on all routes: a path is rejected if another interpretation of it would
/// reach another route. So with `keep`, any change of what routes match may accept more.
pub(super) fn kept_paths(old: &Config, new: &Config) -> Option<SettingChange> {
    let keeps = |config: &Config| {
        let routes = config.rbac.routes.routes().iter();
        let mut rules = routes.map(|route| config.rbac.routes.rules_of(route));
        rules.any(|rules| {
            accepted(&rules)
                .iter()
                .skip(2)
                .any(|(_, accepted)| *accepted)
        })
    };
    let patterns = |config: &Config| {
        let routes = config.rbac.routes.routes().iter();
        let pattern = |route: &Route| {
            let mut hosts: Vec<String> = route.hosts.iter().map(ToString::to_string).collect();
            let methods = route.methods.iter();
            let mut methods: Vec<String> = methods.map(|it| it.as_str().to_owned()).collect();
            hosts.sort();
            methods.sort();
            (route.path.shape(), hosts, methods)
        };
        let mut patterns: Vec<_> = routes.map(pattern).collect();
        patterns.sort();
        patterns
    };
    (keeps(new) && patterns(old) != patterns(new)).then(|| SettingChange {
        path: "rbac.routes".to_owned(),
        old: None,
        new: Some(
            "with `keep`, which ambiguous paths are accepted depends on all routes".to_owned(),
        ),
        effect: Effect::Unknown,
    })
}
