//! Reads, checks and compiles the plugin config.
//!
//! All errors are reported at once, each with its path and what is expected. Whether a config is accepted
//! depends only on its bytes, not on the environment, the host or the clock.

mod access;
mod conflict;
pub(crate) mod error;
mod headers;
mod issuers;
mod keys;
pub(crate) mod path;
pub(crate) mod policy_test;
mod rbac;
mod reader;
mod routes;
mod section;
mod settings;
pub(crate) mod test_error;
pub(crate) mod time;
mod when;

use self::error::{ConfigErrors, ErrorKind};
pub(crate) use self::issuers::Claims;
use self::reader::{Collector, Node};
pub(crate) use self::settings::Identity;
use crate::json::Json;
use crate::policy::authorize::Policy;
use crate::{correlation, record, reply};

/// A checked and compiled plugin config.
#[derive(Debug)]
pub struct Config {
    /// Whether denials are enforced.
    pub mode: Mode,
    /// The token's header, and the accepted issuers.
    pub claims: Claims,
    /// Roles and routes.
    pub rbac: Policy,
    /// Headers that are set from verified claims.
    pub identity: Identity,
    /// Where correlation IDs are read and written.
    pub correlation: correlation::Settings,
    /// The content of responses to denied requests.
    pub responses: reply::Settings,
    /// Log records and access log fields.
    pub log: record::Settings,
}

/// Whether denials are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Denials are enforced.
    #[default]
    Enforce,
    /// Denials are only recorded, except for malformed requests.
    Shadow,
}

/// Loads a plugin config, a JSON object.
///
/// # Errors
/// All errors in the config.
pub fn load(bytes: &[u8]) -> Result<Config, ConfigErrors> {
    if bytes.trim_ascii().is_empty() {
        return Err(ConfigErrors::of_whole(ErrorKind::Empty));
    }
    let json = Json::parse(bytes).map_err(|error| ConfigErrors::of_whole(error.into()))?;
    load_json(&json)
}

/// Loads a plugin config that is parsed already.
///
/// # Errors
/// All errors in the config.
pub(crate) fn load_json(json: &Json) -> Result<Config, ConfigErrors> {
    let collector = Collector::default();
    match config(&Node::root(json, &collector), &collector) {
        Some(config) if collector.count() == 0 => Ok(config),
        _ => Err(ConfigErrors(collector.into_errors())),
    }
}

fn config(node: &Node<'_>, collector: &Collector) -> Option<Config> {
    let section = node.section()?;
    let words = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
    let mode = section
        .key("mode")
        .and_then(|node| node.one_of(&words))
        .unwrap_or_default();
    let claims_node = section.required("claims", "an object with at least `issuers`");
    let claims = claims_node
        .as_ref()
        .and_then(|node| issuers::claims(node, collector));
    let names = claims_node.and_then(|node| issuer_names(node.json()));
    let rbac = section
        .required("rbac", "an object with at least `routes`")
        .and_then(|node| rbac::rbac(&node, names));
    let identity = settings::identity(section.key("identity").as_ref(), collector);
    let correlation = settings::correlation(section.key("correlation").as_ref(), collector);
    let responses = settings::responses(section.key("responses").as_ref());
    let log = settings::log(section.key("log").as_ref());
    let tests = section.key("tests");
    section.finish();
    for (path, conflict) in headers::conflicts(collector.take_headers()) {
        collector.add(&path, conflict);
    }
    let config = Config {
        mode,
        claims: claims?,
        rbac: rbac?,
        identity,
        correlation: correlation?,
        responses,
        log,
    };
    if let (Some(tests), Some(first)) = (tests, config.claims.issuers.first()) {
        policy_test::run_all(&tests, &config.rbac, &first.name);
    }
    Some(config)
}

/// The names of all issuers; `None` if one is missing, invalid or a duplicate.
fn issuer_names(claims: &Json) -> Option<Vec<&str>> {
    let issuers = claims.as_object()?.get("issuers")?.as_array()?;
    let mut names: Vec<&str> = Vec::new();
    for issuer in issuers {
        let name = issuer.as_object()?.get("issuer")?.as_str()?;
        if name.is_empty() || names.contains(&name) {
            return None;
        }
        names.push(name);
    }
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests;
