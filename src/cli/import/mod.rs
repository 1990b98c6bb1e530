//! `edge-claims import`: writes the plugin config that says what Envoy's or Istio's own filters say.
//!
//! The source is read into Boolean expressions ([`expr`]) over hosts, paths, methods, claims, headers and peers.
//! [`mod@routes`] finds the routes whose `allow` is what remains of them. Where the config cannot say the same, it
//! denies, and the place is listed.
//!
//! | the source's condition | in the config |
//! |---|---|
//! | no policy at all | a public route for all paths |
//! | one ALLOW rule of several holds | the alternatives of `allow` in each route that the rule covers |
//! | a DENY rule | its opposite in each alternative; without an opposite the routes deny |
//! | `/a/*`, which is not `/a` | a route for `/a/{*rest}`, and one for `/a` |
//! | `/a*`, which is `/ab` too | the route `/a/{*rest}`; `/ab` is denied, and listed |
//! | a value that is absent, under `not` | denied, and listed: the filter has no test for absence |
//! | a test of a header without a token | denied, and listed: the filter tests headers of verified requests |

mod allow;
mod alternative;
mod correlation;
mod envoy;
mod envoy_jwt;
mod envoy_provider;
mod envoy_rbac;
mod expr;
mod fields;
mod hosts;
mod istio;
mod istio_policy;
mod listed;
mod matcher;
mod methods;
mod options;
mod path_shape;
mod paths;
mod print;
mod providers;
mod prune;
mod routes;
mod select;
mod spelling;
#[cfg(test)]
mod tests;
mod tests_of;
mod text;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Map, Value, json};

pub(super) use self::options::Options;

use self::listed::Report;
use self::options::Format;
use self::providers::{Tokens, probe, tokens};
use self::routes::{Policy, Route, routes};
use self::select::Selection;
use self::tests_of::Translator;
use super::source::{documents, read};
use super::text::printable;
use super::{Answer, CommandError};
use crate::config;
use crate::json::Json;

/// One document of a file, or one item of a `List`.
#[derive(Debug)]
struct Input {
    file: String,
    json: Json,
}

/// The config, and what is to be said about it.
#[derive(Debug)]
struct Imported {
    tokens: Tokens,
    correlation: Map<String, Value>,
    rbac: Map<String, Value>,
    routes: Vec<(Route, Value)>,
    report: Report,
}

/// Writes the config.
///
/// # Errors
/// A [`CommandError`].
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    let mut inputs = Vec::new();
    for file in &options.files {
        let source = read(file)?;
        for document in documents(&source)? {
            if let Some(name) = duplicate_key(&document.json) {
                let problem = format!("the key {name:?} is there twice in one object; remove one");
                return Err(CommandError::Content {
                    name: source.name.clone(),
                    problem,
                });
            }
            flatten(&source.name, document.json, &mut inputs);
        }
    }
    let imported = import(&inputs, options)?;
    for item in &imported.report.not_imported {
        eprintln!(
            "not imported: {}: {}: {}",
            printable(&item.source),
            printable(&item.what),
            printable(&item.why)
        );
    }
    for note in &imported.report.notes {
        eprintln!("note: {}", printable(note));
    }
    match options.format {
        Format::Yaml => print::yaml(&imported, output)?,
        Format::Json => print::json(&imported, output)?,
    }
    Ok(if imported.report.not_imported.is_empty() {
        Answer::Yes
    } else {
        Answer::No
    })
}

/// A key that an object has twice: readers differ in which value counts.
fn duplicate_key(json: &Json) -> Option<&str> {
    match json {
        Json::Array(items) => items.iter().find_map(duplicate_key),
        Json::Object(object) => object
            .duplicate_key()
            .or_else(|| object.iter().find_map(|(_, value)| duplicate_key(value))),
        _ => None,
    }
}

/// The items of `List`s, and other documents as they are.
fn flatten(file: &str, json: Json, inputs: &mut Vec<Input>) {
    let items = json.as_object().and_then(|object| {
        let kind = object.get("kind").and_then(Json::as_str)?;
        let items = object.get("items").and_then(Json::as_array)?;
        kind.ends_with("List").then(|| items.to_vec())
    });
    match items {
        Some(items) => {
            for item in items {
                flatten(file, item, inputs);
            }
        }
        None => inputs.push(Input {
            file: file.to_owned(),
            json,
        }),
    }
}

fn import(inputs: &[Input], options: &Options) -> Result<Imported, CommandError> {
    let mut report = Report::default();
    let from_istio = inputs
        .iter()
        .filter_map(select::Object::of)
        .any(|object| object.kind != "VirtualService");
    let envoy = envoy::read(inputs, options.listener.as_deref(), &mut report)?;
    let correlation = correlation::read(inputs, &mut report);
    let (tokens, policy) = match (envoy, from_istio) {
        (Some(_), true) => {
            return Err(CommandError::Usage(
                "both Envoy's filters and Istio's objects are given; import one of them".to_owned(),
            ));
        }
        (Some(envoy), false) => (envoy.tokens, envoy.policy),
        (None, true) => {
            let labels = options
                .label
                .iter()
                .filter_map(|label| label.split_once('='));
            let selection = Selection {
                namespace: options.namespace.as_deref(),
                root_namespace: &options.root_namespace,
                labels: labels
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect::<BTreeMap<_, _>>(),
            };
            let istio = istio::read(inputs, &selection, &mut report)?;
            (tokens(istio.providers, &mut report), istio.policy)
        }
        (None, false) => {
            return Err(CommandError::Usage(
                "there is nothing to import: expected Envoy's jwt_authn or rbac filters, or Istio's RequestAuthentication or AuthorizationPolicy".to_owned(),
            ));
        }
    };
    let imported = build(tokens, correlation, &policy, from_istio, options, report)?;
    let text = imported.config().to_string();
    if let Err(problem) = config::load(text.as_bytes()) {
        return Err(CommandError::Content {
            name: "internal error, the imported config does not load".to_owned(),
            problem: problem.to_string(),
        });
    }
    Ok(imported)
}

fn build(
    mut tokens: Tokens,
    correlation: Map<String, Value>,
    policy: &Policy,
    from_istio: bool,
    options: &Options,
    mut report: Report,
) -> Result<Imported, CommandError> {
    if tokens.issuers.is_empty() {
        // The filter needs an issuer. This one has no key, and is past its end.
        report.note("The source has no issuer that can be imported. The one in the config accepts no token.");
        let issuer = json!({
            "issuer": "https://none.invalid",
            "any_audience": true,
            "algorithms": ["HS256"],
            "not_after": "1970-01-01T00:00:00Z",
            "keys": {"secrets": [{"env": "EDGE_CLAIMS_NO_ISSUER"}]},
        });
        tokens.issuers.push(("no issuer".to_owned(), issuer));
    }
    let mut sections = Map::new();
    sections.insert("claims".to_owned(), Value::Object(tokens.claims.clone()));
    if !tokens.identity.is_empty() {
        sections.insert(
            "identity".to_owned(),
            Value::Object(tokens.identity.clone()),
        );
    }
    if !correlation.is_empty() {
        sections.insert("correlation".to_owned(), Value::Object(correlation.clone()));
    }
    let issuer = tokens
        .issuers
        .first()
        .map(|(_, issuer)| issuer.clone())
        .unwrap_or_default();
    let known: RefCell<BTreeMap<String, bool>> = RefCell::default();
    // The config itself knows which headers a condition can test.
    let untestable_header = |name: &str| {
        let loads = *known
            .borrow_mut()
            .entry(name.to_owned())
            .or_insert_with(|| {
                let when = json!({"header": name, "exists": true});
                let probe = probe(&sections, &issuer, Some(when));
                config::load(probe.to_string().as_bytes()).is_ok()
            });
        (!loads).then_some("a condition cannot test this header: the filter sets or removes it, or clients can forge it")
    };
    let issuers: Vec<String> = tokens
        .issuers
        .iter()
        .filter_map(|(_, issuer)| issuer.get("issuer")?.as_str().map(str::to_owned))
        .collect();
    let translator = Translator {
        trust_domain: &options.trust_domain,
        issuers: &issuers,
        untestable_header: &untestable_header,
    };
    let found = routes(policy, &translator, &mut report)?;
    let mut rbac = Map::new();
    rbac.insert("path".to_owned(), json!({"trailing_slash": "distinct"}));
    if found.iter().any(|route| route.uses_peers) {
        if from_istio {
            // Istio's listeners refuse certificates that they cannot validate.
            rbac.insert("peer_validation".to_owned(), json!("by_listener"));
            report.note("peer_validation is by_listener, because Istio's listeners refuse certificates that they cannot validate.");
        } else {
            report.note("peer_validation is reported: see docs/decisions.md#peers for resumed TLS sessions and older versions of Envoy.");
        }
    }
    let has_tokens = !tokens.providers.is_empty();
    if has_tokens && found.iter().any(|route| route.is_public) {
        report.note("On public routes, a token that is not valid is removed and the request goes on without it; jwt_authn denies the request, and one with a token of a provider that its rule does not name.");
    }
    if found
        .iter()
        .any(|route| route.host != hosts::HostShape::Any)
    {
        report.note("Hosts match with any port, and the port is removed before the request goes on, unless a route names it.");
    }
    let routes = print::named(found);
    Ok(Imported {
        tokens,
        correlation,
        rbac,
        routes,
        report,
    })
}
