//! Settings outside the routes' access rules, compared as they are written.

use crate::cli::keys::json::compact;
use crate::config::path::ConfigPath;
use crate::json::{Json, Object};

/// A setting that differs.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct SettingChange {
    /// Its path; list elements with a name are shown by it.
    pub(super) path: String,
    /// Its value before, as JSON; `None` if it was not set.
    pub(super) old: Option<String>,
    /// Its value now.
    pub(super) new: Option<String>,
    /// What that does.
    pub(super) effect: Effect,
}

/// What a change of a setting does to who is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Effect {
    /// It may allow more.
    More,
    /// It can only allow less.
    Less,
    /// It does not decide who is allowed, or both are possible.
    Other,
    /// It may allow more; which of the two is not known here.
    Unknown,
}

impl Effect {
    pub(super) fn allows_more(self) -> bool {
        matches!(self, Self::More | Self::Unknown)
    }

    /// As words.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::More => "may allow more",
            Self::Less => "allows less",
            Self::Other => "does not change who is allowed",
            Self::Unknown => "may change who is allowed",
        }
    }
}

/// All settings that differ, except `rbac.routes[].allow` and what selects routes, and `tests`.
pub(super) fn compare(old: &Json, new: &Json) -> Vec<SettingChange> {
    let mut changes = Vec::new();
    members(&Place::root(), old, new, &mut changes);
    changes
}

/// A path for people, and the same without the names of list elements, to look up its meaning.
#[derive(Clone)]
struct Place {
    shown: String,
    key: String,
}

impl Place {
    fn root() -> Self {
        Self {
            shown: String::new(),
            key: String::new(),
        }
    }

    fn member(&self, name: &str) -> Self {
        let join = |base: &str, name: &str| {
            if base.is_empty() {
                name.to_owned()
            } else {
                format!("{base}.{name}")
            }
        };
        let quoted = ConfigPath::root().key(name).to_string();
        Self {
            shown: if quoted.starts_with('[') {
                format!("{}{quoted}", self.shown)
            } else {
                join(&self.shown, name)
            },
            key: join(&self.key, name),
        }
    }

    fn element(&self, name: &str) -> Self {
        Self {
            shown: format!("{}[{name}]", self.shown),
            key: format!("{}[]", self.key),
        }
    }
}

fn members(place: &Place, old: &Json, new: &Json, changes: &mut Vec<SettingChange>) {
    let empty = Object::default();
    let (before, now) = (
        old.as_object().unwrap_or(&empty),
        new.as_object().unwrap_or(&empty),
    );
    let names = before.iter().chain(now.iter()).map(|(name, _)| name);
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let place = place.member(name);
        if is_compared_elsewhere(&place.key) {
            continue;
        }
        setting(&place, before.get(name), now.get(name), changes);
    }
}

/// The routes' rules are compared by their meaning, and tests decide nothing.
fn is_compared_elsewhere(key: &str) -> bool {
    matches!(
        key,
        "tests"
            | "rbac.routes[].allow"
            | "rbac.routes[].path"
            | "rbac.routes[].hosts"
            | "rbac.routes[].methods"
            | "rbac.routes[].name"
            | "rbac.routes[].mode"
            | "rbac.routes[].path_rules"
            | "rbac.routes[].enforce_percent"
            | "rbac.roles.includes"
    )
}

fn setting(
    place: &Place,
    old: Option<&Json>,
    new: Option<&Json>,
    changes: &mut Vec<SettingChange>,
) {
    let default = default_of(&place.key);
    let is_same = |json: Option<&Json>, other: Option<&Json>| match (json, other) {
        (Some(json), Some(other)) => json == other,
        (None, None) => true,
        (Some(json), None) | (None, Some(json)) => default.as_ref() == Some(json),
    };
    if is_same(old, new) {
        return;
    }
    let named = match place.key.as_str() {
        "claims.issuers" => Some("issuer"),
        "rbac.routes" => Some("name"),
        _ => None,
    };
    if let Some(name) = named {
        return elements(place, name, old, new, changes);
    }
    let is_object = |json: Option<&Json>| json.is_none_or(|json| json.as_object().is_some());
    let descends = ![
        "claims.issuers[].keys.inline",
        "claims.issuers[].one_use",
        "identity.headers",
    ]
    .contains(&place.key.as_str());
    if is_object(old) && is_object(new) && descends && (old.is_some() || new.is_some()) {
        let empty = Json::Object(Object::default());
        return members(place, old.unwrap_or(&empty), new.unwrap_or(&empty), changes);
    }
    changes.push(SettingChange {
        path: place.shown.clone(),
        old: old.map(show),
        new: new.map(show),
        effect: effect(&place.key, old, new),
    });
}

/// Lists whose elements have a name: elements are compared by it, not by their position.
fn elements(
    place: &Place,
    name: &str,
    old: Option<&Json>,
    new: Option<&Json>,
    changes: &mut Vec<SettingChange>,
) {
    let list = |json: Option<&'_ Json>| -> Vec<(String, Json)> {
        let items = json.and_then(Json::as_array).unwrap_or_default().iter();
        let named = |item: &Json| {
            let name = item.as_object()?.get(name)?.as_str()?;
            Some((name.to_owned(), item.clone()))
        };
        items.filter_map(named).collect()
    };
    let (before, now) = (list(old), list(new));
    let find = |list: &[(String, Json)], name: &str| {
        let found = list.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    for (name, item) in &before {
        let place = place.element(name);
        match find(&now, name) {
            Some(other) => members(&place, item, &other, changes),
            None if place.key == "claims.issuers[]" => changes.push(SettingChange {
                path: place.shown,
                old: Some("present".to_owned()),
                new: None,
                effect: Effect::Less,
            }),
            None => {}
        }
    }
    for (name, item) in &now {
        if find(&before, name).is_some() {
            continue;
        }
        let place = place.element(name);
        if place.key == "claims.issuers[]" {
            changes.push(SettingChange {
                path: place.shown,
                old: None,
                new: Some("present".to_owned()),
                effect: Effect::More,
            });
        } else {
            // A new route: its settings differ from those that none has.
            members(&place, &Json::Object(Object::default()), item, changes);
        }
    }
}

/// What a change of one key does. What is not listed is [`Effect::Unknown`] below `claims` and `rbac`.
fn effect(key: &str, old: Option<&Json>, new: Option<&Json>) -> Effect {
    let word = |json: Option<&Json>| json.and_then(Json::as_str).map(str::to_owned);
    let flag = |json: Option<&Json>| matches!(json, Some(Json::Bool(true)));
    let looser_if = |looser: bool| if looser { Effect::More } else { Effect::Less };
    match key {
        "mode" => looser_if(word(new).as_deref() == Some("shadow")),
        "claims.issuers[].any_audience" => looser_if(flag(new)),
        // Without it, the issuer has `any_audience`.
        "claims.issuers[].audiences" if old.is_none() => Effect::Less,
        "claims.issuers[].audiences"
        | "claims.issuers[].algorithms"
        | "claims.issuers[].keys.secrets" => by_members(old, new),
        "claims.issuers[].require" => by_members(new, old),
        key if key.starts_with("claims.issuers[].revoked.") => by_members(new, old),
        "claims.issuers[].max_age" | "claims.issuers[].max_lifetime" => {
            by_limit(old, new, u64::MAX)
        }
        "claims.issuers[].leeway" => by_limit(old, new, 10),
        // How long a key that the server withdrew stays valid.
        "claims.issuers[].keys.remote.refresh" => by_limit(old, new, 300),
        "claims.issuers[].keys.remote.max_stale" => by_limit(old, new, 86_400),
        "claims.issuers[].type" | "claims.issuers[].not_after" if old.is_none() => Effect::Less,
        key if key.starts_with("claims.issuers[].bind.") && old.is_none() => Effect::Less,
        "claims.issuers[].one_use" if old.is_none() => Effect::Less,
        "claims.cache_entries" | "claims.verification" | "claims.forward" => Effect::Other,
        key if key.starts_with("claims.issuers[].keys.remote.")
            && !key.ends_with("url")
            && !key.ends_with("cluster") =>
        {
            Effect::Other
        }
        "rbac.cors_preflight" => looser_if(word(new).as_deref() == Some("allow")),
        // Compared with the routes, which it replaces where there is none.
        "rbac.default" => looser_if(word(new).as_deref() == Some("authenticated")),
        "rbac.peer_validation" => looser_if(word(new).as_deref() == Some("by_listener")),
        "rbac.routes[].on_failure" => Effect::Other,
        key if key.contains(".path_rules.") || key.starts_with("rbac.path.") => {
            let strict = ["reject", "distinct"];
            let is_strict = word(new).is_none_or(|word| strict.contains(&word.as_str()));
            if key.ends_with("trailing_slash") {
                // Which paths a route matches: compared with the routes.
                Effect::Other
            } else if word(new).as_deref() == Some("reject")
                || (is_strict && !key.contains(".path_rules."))
            {
                Effect::Less
            } else {
                Effect::More
            }
        }
        key if key.starts_with("claims.") || key.starts_with("rbac.") => Effect::Unknown,
        "identity.on_spoof" => looser_if(word(new).as_deref() != Some("reject")),
        // What backends believe about the user.
        "identity.strip" | "identity.headers" => Effect::Unknown,
        _ => Effect::Other,
    }
}

/// A list of which one member suffices: with a new member it allows more.
fn by_members(old: Option<&Json>, new: Option<&Json>) -> Effect {
    let list = |json: Option<&Json>| json.and_then(Json::as_array).unwrap_or_default().to_vec();
    let (before, now) = (list(old), list(new));
    if now.iter().all(|member| before.contains(member)) {
        Effect::Less
    } else {
        Effect::More
    }
}

/// A duration in the config, and the default in seconds.
fn by_limit(old: Option<&Json>, new: Option<&Json>, default: u64) -> Effect {
    let seconds = |json: Option<&Json>| {
        let text = json.and_then(Json::as_str);
        match text.map(humantime::parse_duration) {
            Some(Ok(duration)) => Some(duration.as_secs()),
            Some(Err(_)) => None,
            None => Some(default),
        }
    };
    match (seconds(old), seconds(new)) {
        (Some(before), Some(now)) if now < before => Effect::Less,
        _ => Effect::More,
    }
}

/// The defaults of keys that do not change a config when they are written out.
fn default_of(key: &str) -> Option<Json> {
    let text = match key {
        "mode" => "\"enforce\"",
        "claims.header" => "\"x-edge-claims\"",
        "claims.prefix" => "\"\"",
        "claims.forward" | "claims.issuers[].any_audience" => "false",
        "claims.max_bytes" => "8192",
        "claims.cache_entries" => "4096",
        "claims.verification" => "\"auto\"",
        "claims.issuers[].leeway" => "\"10s\"",
        "claims.issuers[].keys.remote.refresh" => "\"5m\"",
        "claims.issuers[].keys.remote.timeout" => "\"2s\"",
        "claims.issuers[].keys.remote.max_stale" => "\"24h\"",
        "rbac.cors_preflight" | "rbac.default" => "\"deny\"",
        "rbac.peer_validation" => "\"reported\"",
        "rbac.authority_port" | "identity.on_spoof" => "\"strip\"",
        "rbac.roles.format" => "\"list\"",
        "rbac.path.trailing_slash" => "\"same\"",
        key if key.starts_with("rbac.path.") => "\"reject\"",
        _ => return None,
    };
    Json::parse(text.as_bytes()).ok()
}

/// A value as compact JSON, shortened.
fn show(json: &Json) -> String {
    const LONGEST: usize = 120;
    let text = compact(json);
    if text.chars().count() <= LONGEST {
        return text;
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{start}…")
}
