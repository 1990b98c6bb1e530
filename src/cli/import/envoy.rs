//! Envoy's configs: finds the HTTP filters, and reads `jwt_authn` and `rbac` among them.

use std::rc::Rc;

use super::Input;
use super::envoy_jwt::JwtAuthn;
use super::envoy_rbac;
use super::expr::{Expr, Kind};
use super::fields::Fields;
use super::listed::Report;
use super::providers::{Provider, Tokens, tokens};
use super::routes::{Policy, Rule, Stage};
use super::spelling::{MORE_SEGMENTS, MORE_SPELLINGS, has_reserved};
use crate::cli::CommandError;
use crate::json::Json;

const JWT_AUTHN: &str = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.";
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.";

/// A list of HTTP filters, and where it is.
struct Chain<'i> {
    place: String,
    listener: Option<&'i str>,
    filters: &'i [Json],
    /// Where a route overrides one of them.
    overrides: Vec<String>,
}

/// What the filters say.
pub(super) struct Envoy {
    pub(super) tokens: Tokens,
    pub(super) policy: Policy,
}

/// Reads the chain of filters, if there is one with `jwt_authn` or `rbac`.
///
/// # Errors
/// [`CommandError::Usage`] if there are several, and none or no known one is selected.
pub(super) fn read(
    inputs: &[Input],
    listener: Option<&str>,
    report: &mut Report,
) -> Result<Option<Envoy>, CommandError> {
    let mut chains = Vec::new();
    for input in inputs {
        if let Some(filters) = input.json.as_array() {
            chains.extend(Chain::of(&input.file, None, filters, &[]));
        }
        find(&input.json, &input.file, None, &mut chains);
    }
    if let Some(wanted) = listener {
        chains.retain(|chain| chain.listener == Some(wanted));
        if chains.is_empty() {
            return Err(CommandError::Usage(format!(
                "no listener {wanted:?} has a jwt_authn or rbac filter"
            )));
        }
    }
    let mut chains = chains.into_iter();
    let Some(chain) = chains.next() else {
        return Ok(None);
    };
    if let Some(other) = chains.next() {
        return Err(CommandError::Usage(format!(
            "both {} and {} have such filters; choose one with --listener, or import one file with one of them",
            chain.place, other.place
        )));
    }
    Ok(Some(chain.read(report)))
}

/// Lists the paths that allow, and of which the filter matches more than the source.
fn list_spellings(policy: &Policy, report: &mut Report) {
    let mut leaves = Vec::new();
    for stage in policy.stages.iter().filter(|stage| !stage.denies) {
        for rule in &stage.rules {
            rule.expr.leaves(&mut leaves);
        }
    }
    for leaf in leaves {
        let path = leaf.text.trim_start_matches("header :path");
        if !matches!(leaf.kind, Kind::Path(_)) {
            continue;
        }
        if path.starts_with("uri_template") || path.starts_with("path_match_policy") {
            report.list(&leaf.place, &leaf.text, MORE_SEGMENTS);
        } else if has_reserved(path) {
            report.list(&leaf.place, &leaf.text, MORE_SPELLINGS);
        }
    }
}

/// Finds lists of HTTP filters at any depth.
fn find<'i>(json: &'i Json, file: &str, listener: Option<&'i str>, chains: &mut Vec<Chain<'i>>) {
    match json {
        Json::Array(items) => {
            for item in items {
                find(item, file, listener, chains);
            }
        }
        Json::Object(object) => {
            let fields = Fields::of(Some(json));
            let is_listener = fields.get("filter_chains").is_some()
                || fields.get("default_filter_chain").is_some();
            let listener = if is_listener {
                fields.text("name").or(listener)
            } else {
                listener
            };
            if let Some(filters) = fields.get("http_filters").and_then(Json::as_array) {
                let siblings: Vec<&Json> = object.iter().map(|(_, value)| value).collect();
                chains.extend(Chain::of(file, listener, filters, &siblings));
            }
            for (_, value) in object.iter() {
                find(value, file, listener, chains);
            }
        }
        _ => {}
    }
}

/// Whether a value is a config of one of these filters, or of a route for them.
fn is_ours(json: &Json) -> bool {
    Fields::of(Some(json))
        .text("@type")
        .is_some_and(|name| name.starts_with(JWT_AUTHN) || name.starts_with(RBAC))
}

/// Whether one of these filters' configs is anywhere in a value.
fn mentions_ours(json: &Json) -> bool {
    match json {
        Json::Array(items) => items.iter().any(mentions_ours),
        Json::Object(object) => {
            is_ours(json) || object.iter().any(|(_, value)| mentions_ours(value))
        }
        Json::String(text) => text.starts_with(JWT_AUTHN) || text.starts_with(RBAC),
        _ => false,
    }
}

/// The places of configs per route.
fn route_configs(json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| route_configs(item, found)),
        Json::Object(object) => {
            let fields = Fields::of(Some(json));
            let configs = fields.object("typed_per_filter_config").members();
            for (name, config) in configs {
                let by_name =
                    name.contains("rbac") || name.contains("jwt") || name.contains("authorization");
                if mentions_ours(config) || by_name {
                    found.push(format!("typed_per_filter_config[{name}]"));
                }
            }
            object
                .iter()
                .for_each(|(_, value)| route_configs(value, found));
        }
        _ => {}
    }
}

impl<'i> Chain<'i> {
    fn of(
        file: &str,
        listener: Option<&'i str>,
        filters: &'i [Json],
        siblings: &[&Json],
    ) -> Option<Self> {
        let is_filter = |json: &Json| {
            let fields = Fields::of(Some(json));
            fields
                .get("typed_config")
                .or(fields.get("config_discovery"))
                .is_some_and(mentions_ours)
        };
        if !filters.iter().any(is_filter) {
            return None;
        }
        let mut overrides = Vec::new();
        siblings
            .iter()
            .for_each(|sibling| route_configs(sibling, &mut overrides));
        let place = match listener {
            Some(listener) => format!("{file}: listener {listener}"),
            None => format!("{file}:"),
        };
        Some(Self {
            place,
            listener,
            filters,
            overrides,
        })
    }

    fn read(&self, report: &mut Report) -> Envoy {
        let mut policy = Policy::default();
        for config in &self.overrides {
            policy
                .stages
                .push(self.denied(config, "configs per route are not read here"));
        }
        let configs: Vec<(String, Fields<'_>, bool)> = self.configs(&mut policy);
        let authns: Vec<&(String, Fields<'_>, bool)> =
            configs.iter().filter(|(_, _, is_jwt)| *is_jwt).collect();
        let jwt = authns
            .first()
            .map(|(place, config, _)| JwtAuthn::new(place.clone(), *config));
        for (place, config, _) in authns.iter().skip(1) {
            policy
                .stages
                .push(self.denied(place, "more than one jwt_authn filter is not read here"));
            let _ = config;
        }
        let providers = jwt
            .as_ref()
            .map(|jwt| jwt.providers(report))
            .unwrap_or_default();
        let tokens = tokens(providers, report);
        let known: &[Provider] = &tokens.providers;
        let mut verifies = false;
        for (place, config, is_jwt) in &configs {
            if *is_jwt {
                if let (false, Some(jwt)) = (verifies, &jwt) {
                    if config.flag("bypass_cors_preflight") {
                        report.list(place, "bypass_cors_preflight", "CORS preflights need what other requests need here; rbac.cors_preflight can allow them");
                    }
                    policy.stages.push(jwt.stage(known));
                }
                verifies = true;
                continue;
            }
            let verified = |key: &str| match &jwt {
                Some(jwt) if verifies => jwt.verified(key, known),
                _ => Expr::never(),
            };
            policy
                .stages
                .extend(envoy_rbac::stage(place, *config, known, &verified));
        }
        list_spellings(&policy, report);
        Envoy { tokens, policy }
    }

    /// The configs of the filters in their order, each with its place, and whether it is `jwt_authn`.
    fn configs(&self, policy: &mut Policy) -> Vec<(String, Fields<'i>, bool)> {
        let mut configs = Vec::new();
        for (index, filter) in self.filters.iter().enumerate() {
            let fields = Fields::of(Some(filter));
            let name = fields.text("name").unwrap_or("without name");
            let place = format!("{} http_filters[{index}] {name}", self.place);
            if fields.flag("disabled") {
                if mentions_ours(filter) {
                    policy.stages.push(
                        self.denied(&place, "a filter that only routes enable is not read here"),
                    );
                }
                continue;
            }
            let config = fields.object("typed_config");
            let kind = config.text("@type").unwrap_or_default();
            match (kind.strip_prefix(JWT_AUTHN), kind.strip_prefix(RBAC)) {
                (Some("JwtAuthentication"), _) => configs.push((place, config, true)),
                (_, Some("RBAC")) => configs.push((place, config, false)),
                _ if mentions_ours(filter)
                    || name.contains("rbac")
                    || name.contains("jwt_authn") =>
                {
                    policy.stages.push(self.denied(
                        &place,
                        "a filter within another one, or one by discovery, is not read here",
                    ));
                }
                _ => {}
            }
        }
        configs
    }

    /// A stage that denies every request, because something cannot be read.
    fn denied(&self, what: &str, why: &'static str) -> Stage {
        let place: Rc<str> = self.place.as_str().into();
        let expr = Expr::leaf(&place, what, Kind::Unknown(why));
        Stage {
            denies: true,
            rules: vec![Rule { place, expr }],
        }
    }
}
