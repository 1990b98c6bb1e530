//! The warnings about a plugin's resource.

use std::ops::Range;
use std::rc::Rc;

use super::keys;
use super::read::{list, text};
use super::select::{Workload, may_meet, workload};
use super::{Mesh, Plugin};
use crate::cli::check::rules;
use crate::cli::diagnostic::{Diagnostic, Hidden, Severity};
use crate::cli::source::FoundConfig;
use crate::config::Config;
use crate::config::path::ConfigPath;

/// The warnings about the resource that a config was found in. None if it was found elsewhere.
pub(in crate::cli::check) fn compare(
    found: &FoundConfig,
    config: &Config,
    mesh: &Mesh,
) -> Vec<Diagnostic> {
    let is_same = |plugin: &Plugin<'_>| {
        plugin.object.title() == found.owner && Rc::ptr_eq(&plugin.object.source, &found.source)
    };
    let Some(plugin) = mesh.plugins().find(is_same) else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    let warn = |rule, place, message| warning(plugin, rule, place, message);
    if let Some(message) = wrong_digest(plugin) {
        warnings.push(warn("istio_digest", plugin.place("sha256"), message));
    }
    if let Some((rule, message)) = wrong_mode(plugin, mesh) {
        let place = plugin.object.spans.member("match");
        let place = place.map_or_else(
            || plugin.place("match"),
            |spans| first_line(plugin, &spans.value),
        );
        warnings.push(warn(rule, place, message));
    }
    let twin = mesh.plugins().find(|other| {
        other.object.kind != plugin.object.kind && may_meet(plugin.object, other.object)
    });
    if let Some(twin) = twin {
        let message = format!(
            "{} loads the filter into the same workloads: the second of the two denies what the first one forwards",
            twin.object.title()
        );
        warnings.push(warn("istio_both_kinds", plugin.place("url"), message));
    }
    for (index, issuer) in config.claims.issuers.iter().enumerate() {
        let cluster = issuer.remote.as_ref().map(|remote| remote.cluster.as_str());
        if let Some((rule, message)) =
            cluster.and_then(|cluster| keys::missing(plugin, cluster, mesh))
        {
            let path = ConfigPath::root().key("claims").key("issuers").index(index);
            let path = path.key("keys").key("remote").key("cluster");
            warnings.push(Diagnostic::warning(found, rule, &path, message));
        }
    }
    warnings
}

fn warning(
    plugin: Plugin<'_>,
    rule: &'static str,
    range: Range<usize>,
    message: String,
) -> Diagnostic {
    Diagnostic {
        severity: Severity::Warning,
        rule,
        message,
        help: rules::lint(rule).map(|rule| rule.help),
        source: Rc::clone(&plugin.object.source),
        owner: plugin.object.title(),
        range,
        hidden: Hidden::Ranges(
            plugin
                .wasm_spans
                .member("pluginConfig")
                .map_or_else(|| [].into(), |config| config.secrets().into()),
        ),
    }
}

fn first_line(plugin: Plugin<'_>, range: &Range<usize>) -> Range<usize> {
    let text = plugin.object.source.text.get(range.clone());
    let line = text
        .and_then(|text| text.lines().next())
        .map_or(0, str::len);
    range.start..range.start.saturating_add(line)
}

/// A digest that the module of the URL cannot have, or none.
fn wrong_digest(plugin: Plugin<'_>) -> Option<String> {
    let url = text(plugin.wasm, "url").unwrap_or_default();
    let of_url = url.split_once("@sha256:").map(|(_, digest)| digest);
    match (text(plugin.wasm, "sha256"), of_url) {
        (None, None) if url.starts_with("file:") => None,
        (None, None) => Some(
            "nothing fixes the module: whoever can write to the registry can replace it".to_owned(),
        ),
        (None, Some(_)) => None,
        (Some(digest), _) if !is_digest(digest) => {
            Some("not a SHA-256: 64 hexadecimal digits in lower case, without `sha256:`".to_owned())
        }
        (Some(digest), _) if digest.bytes().all(|byte| byte == b'0') => {
            Some("still the placeholder: each request would get 403".to_owned())
        }
        (Some(digest), Some(of_url)) if digest != of_url => {
            Some("differs from the digest in the URL: each request would get 403".to_owned())
        }
        (Some(_), _) => None,
    }
}

fn is_digest(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 64 && text.bytes().all(is_hex)
}

/// A `match` with which the filter does not run, or runs where it should not.
fn wrong_mode(plugin: Plugin<'_>, mesh: &Mesh) -> Option<(&'static str, String)> {
    let mode = |entry| text(entry, "mode").unwrap_or("CLIENT_AND_SERVER");
    let mut modes = list(&plugin.object.spec, "match").map(mode).peekable();
    let everywhere = modes.peek().is_none();
    match workload(plugin, mesh) {
        Workload::Gateway if !everywhere && modes.all(|mode| mode == "SERVER") => Some((
            "istio_gateway_mode",
            "a gateway is a CLIENT: with mode SERVER it does not load the filter, and all requests pass".to_owned(),
        )),
        Workload::Other if everywhere || modes.any(|mode| mode != "SERVER") => Some((
            "istio_sidecar_mode",
            "in a sidecar, the filter also runs on the requests that the service itself sends, and denies them"
                .to_owned(),
        )),
        _ => None,
    }
}
