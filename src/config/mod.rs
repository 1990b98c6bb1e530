//! What the operator writes, checked and compiled.
//!
//! The bytes become a JSON tree, and each section of it is read on its own, so that every problem is
//! reported at once, each with its place and what would be right. The result depends on the bytes
//! alone: what comes from outside (environment, host, clock) never decides whether a config loads.

mod access;
mod issuers;
pub(crate) mod problem;
mod rbac;
pub(crate) mod reader;
mod rehearsal;
mod settings;

pub(crate) use self::issuers::Claims;
use self::problem::{Fault, Place, Problem, Problems, Refused};
use self::reader::Node;
pub(crate) use self::settings::Identity;
use crate::json::Json;
use crate::policy::decision::Policy;
use crate::{correlation, record, reply};

/// A checked and compiled plugin config.
#[derive(Debug)]
pub struct Config {
    /// Whether denials are enforced.
    pub mode: Mode,
    /// Where the token stands and who may have signed it.
    pub claims: Claims,
    /// Roles and routes.
    pub rbac: Policy,
    /// Headers that are set from verified claims.
    pub identity: Identity,
    /// Where correlation IDs are read and written.
    pub correlation: correlation::Settings,
    /// How much denials say.
    pub responses: reply::Settings,
    /// What is recorded.
    pub log: record::Settings,
}

/// Whether denials are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// They are.
    #[default]
    Enforce,
    /// They are recorded only. A malformed request is denied all the same.
    Shadow,
}

/// Reads the bytes of a plugin config: JSON, an object.
///
/// # Errors
/// [`Refused`] with every problem that was found.
pub fn load(bytes: &[u8]) -> Result<Config, Refused> {
    let problems = Problems::default();
    let config = match parse(bytes) {
        Ok(json) => config(&Node::root(&json, &problems)),
        Err(fault) => {
            return Err(Refused(vec![Problem {
                place: Place::root(),
                fault,
            }]));
        }
    };
    match config {
        Some(config) if problems.count() == 0 => Ok(config),
        _ => Err(Refused(problems.into_vec())),
    }
}

fn parse(bytes: &[u8]) -> Result<Json, Fault> {
    if bytes.trim_ascii().is_empty() {
        return Err(Fault::Empty);
    }
    Ok(Json::parse(bytes)?)
}

fn config(node: &Node<'_>) -> Option<Config> {
    let section = node.section()?;
    let words = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
    let mode = section
        .key("mode")
        .and_then(|node| node.one_of(&words))
        .unwrap_or_default();
    let claims = section
        .required(
            "claims",
            "who may have signed the token: at least claims.issuers",
        )
        .and_then(|node| issuers::claims(&node));
    let names = section
        .key("claims")
        .and_then(|node| issuer_names(node.json()));
    let rbac = section
        .required("rbac", "who may do what: at least rbac.routes")
        .and_then(|node| rbac::rbac(&node, names));
    let identity_node = section.key("identity");
    let identity = settings::identity(identity_node.as_ref());
    let correlation = settings::correlation(section.key("correlation").as_ref());
    let responses = settings::responses(section.key("responses").as_ref());
    let log = settings::log(section.key("log").as_ref());
    let tests = section.key("tests");
    section.finish();
    let config = Config {
        mode,
        claims: claims?,
        rbac: rbac?,
        identity,
        correlation,
        responses,
        log,
    };
    header_conflicts(&config, node);
    if let (Some(tests), Some(first)) = (tests, config.claims.issuers.first()) {
        rehearsal::run(&tests, &config.rbac, &first.name);
    }
    Some(config)
}

/// The names of all issuers, of those too that have problems of their own.
fn issuer_names(claims: &Json) -> Option<Vec<&str>> {
    let issuers = claims.as_object()?.get("issuers")?.as_array()?;
    fn name(issuer: &Json) -> Option<&str> {
        issuer.as_object()?.get("issuer")?.as_str()
    }
    Some(issuers.iter().filter_map(name).collect())
}

/// One header can't have two meanings.
fn header_conflicts(config: &Config, root: &Node<'_>) {
    let mut meanings: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, meaning: String| {
        let folded = name.replace('_', "-");
        if let Some((_, other)) = meanings.iter().find(|(known, _)| *known == folded) {
            root.refuse::<()>(Fault::Conflict(format!(
                "{meaning} and {other} are one header, {name}; give each a name of its own"
            )));
        }
        meanings.push((folded, meaning));
    };
    add(&config.claims.header, "claims.header".to_owned());
    add(&config.correlation.header, "correlation.header".to_owned());
    for header in &config.identity.headers {
        add(&header.name, format!("identity.headers[{:?}]", header.name));
    }
    for name in &config.identity.strip {
        add(name, format!("identity.strip: {name}"));
    }
    // A condition sees the header as the client sent it, which is just what is never believed.
    for route in config.rbac.routes.routes() {
        for name in route.access.tested_headers() {
            let folded = name.replace('_', "-");
            if let Some((_, meaning)) = meanings.iter().find(|(known, _)| *known == folded) {
                root.refuse::<()>(Fault::Conflict(format!(
                    "route {} has a condition on the header {name}, which is {meaning}: a client can \
                     send it; test the claim instead",
                    route.name
                )));
            }
        }
    }
    if config.correlation.accept.contains(&config.claims.header) {
        root.refuse::<()>(Fault::Conflict(format!(
            "correlation.accept holds claims.header, {}: a token is no ID, and would go into logs",
            config.claims.header
        )));
    }
}

#[cfg(test)]
mod tests;
