//! The small sections: `identity`, `correlation`, `responses`, `log`.

use super::conflict::Conflict;
use super::headers::Purpose;
use super::path::ConfigPath;
use super::reader::{Collector, Node, check_settable, parse_header_name};
use super::section::Section;
use crate::claims::ClaimPath;
use crate::header_name::HeaderName;
use crate::identity::{IdentityHeader, OnSpoof};
use crate::record::{AccessField, Subject};
use crate::{correlation, record, reply};

/// The config's `identity`.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Headers that are set from verified claims.
    pub headers: Vec<IdentityHeader>,
    /// What to do with a request that already has one of them.
    pub on_spoof: OnSpoof,
    /// Other headers that are removed from every request.
    pub strip: Vec<HeaderName>,
}

/// Headers that make some backends, proxies or frameworks use another method or URL than the authorized one,
/// or skip their own checks.
const OVERRIDES: [&str; 13] = [
    // Method: Symfony, Laravel, Express, ASP.NET, OData, Google and IBM APIs.
    "x-http-method-override",
    "x-method-override",
    "x-http-method",
    // URL: IIS URL Rewrite, Symfony and Zend (CVE-2018-14773).
    "x-original-url",
    "x-rewrite-url",
    "x-override-url",
    // The original request in authorization subrequests of nginx, Traefik and Caddy.
    "x-original-method",
    "x-original-uri",
    "x-forwarded-method",
    "x-forwarded-uri",
    "x-forwarded-path",
    // Envoy sets it when a route rewrites the path.
    "x-envoy-original-path",
    // Skips the middleware of Next.js (CVE-2025-29927).
    "x-middleware-subrequest",
];

/// The token's header if `claims.header` is not set.
pub(super) fn default_token_header(collector: &Collector, path: ConfigPath) -> Option<HeaderName> {
    let name = HeaderName::parse("x-edge-claims").ok()?;
    collector.add_default_header(path, name.clone(), Purpose::Token);
    Some(name)
}

pub(super) fn identity(node: Option<&Node<'_>>, collector: &Collector) -> Identity {
    let section = node.and_then(Node::section);
    let section = section.as_ref();
    let headers = section.and_then(|section| section.key("headers"));
    let headers = headers.and_then(|node| node.entries()).unwrap_or_default();
    let headers = headers.iter().filter_map(|(name, node)| header(name, node));
    let headers = headers.collect();
    let words = [("strip", OnSpoof::Strip), ("reject", OnSpoof::Reject)];
    let on_spoof = section
        .and_then(|section| section.key("on_spoof"))
        .and_then(|node| node.one_of(&words));
    let strip = match section.and_then(|section| section.key("strip")) {
        Some(node) => node
            .items()
            .unwrap_or_default()
            .iter()
            .filter_map(stripped_header)
            .collect(),
        None => default_strip(collector),
    };
    if let Some(section) = section {
        section.finish();
    }
    Identity {
        headers,
        on_spoof: on_spoof.unwrap_or_default(),
        strip,
    }
}

fn default_strip(collector: &Collector) -> Vec<HeaderName> {
    let path = ConfigPath::root().key("identity").key("strip");
    let names = OVERRIDES
        .into_iter()
        .filter_map(|name| HeaderName::parse(name).ok());
    names
        .inspect(|name| {
            collector.add_default_header(path.clone(), name.clone(), Purpose::Stripped);
        })
        .collect()
}

fn header(name: &str, node: &Node<'_>) -> Option<IdentityHeader> {
    let claim = node.claim_path();
    let name = parse_header_name(node, name)?;
    let name = check_settable(node, name)?;
    node.use_header(&name, Purpose::Identity);
    Some(IdentityHeader {
        name,
        claim: claim?,
    })
}

fn stripped_header(node: &Node<'_>) -> Option<HeaderName> {
    let name = node.settable_header()?;
    node.use_header(&name, Purpose::Stripped);
    Some(name)
}

pub(super) fn correlation(
    node: Option<&Node<'_>>,
    collector: &Collector,
) -> Option<correlation::Settings> {
    let section = node.and_then(Node::section);
    let section = section.as_ref();
    let header = match section.and_then(|section| section.key("header")) {
        Some(node) => {
            let name = node.settable_header();
            if let Some(name) = &name {
                node.use_header(name, Purpose::Correlation);
            }
            name
        }
        None => {
            let name = HeaderName::parse("x-correlation-id").ok();
            if let Some(name) = &name {
                let path = ConfigPath::root().key("correlation").key("header");
                collector.add_default_header(path, name.clone(), Purpose::Correlation);
            }
            name
        }
    };
    let claim = section
        .and_then(|section| section.key("claim"))
        .and_then(|node| node.claim());
    let accept = section
        .and_then(|section| section.key("accept"))
        .map(|node| {
            let items = node.items().unwrap_or_default();
            items.iter().filter_map(accepted_header).collect()
        });
    let response_header = section
        .and_then(|section| section.key("response_header"))
        .and_then(|node| node.boolean());
    if let Some(section) = section {
        section.finish();
    }
    let header = header?;
    Some(correlation::Settings {
        accept: accept.unwrap_or_else(|| vec![header.clone()]),
        header,
        claim: Some(claim.unwrap_or_else(|| ClaimPath::from("cid"))),
        response_header: response_header.unwrap_or(true),
    })
}

/// A header from which a correlation ID is accepted. Headers with secrets are rejected, because IDs are
/// logged.
fn accepted_header(node: &Node<'_>) -> Option<HeaderName> {
    let name = node.header_name()?;
    if ["authorization", "cookie", "proxy-authorization"].contains(&name.as_str()) {
        return node.report(Conflict::SecretHeader(name.to_string()));
    }
    node.use_header(&name, Purpose::Accepted);
    Some(name)
}

pub(super) fn responses(node: Option<&Node<'_>>) -> reply::Settings {
    let mut settings = reply::Settings {
        detail: reply::Detail::Code,
        realm: "mesh".to_owned(),
        docs_url: None,
    };
    let Some(section) = node.and_then(Node::section) else {
        return settings;
    };
    let words = [("code", reply::Detail::Code), ("none", reply::Detail::None)];
    if let Some(detail) = section.key("detail").and_then(|node| node.one_of(&words)) {
        settings.detail = detail;
    }
    if let Some(realm) = section.key("realm").and_then(|node| realm(&node)) {
        settings.realm = realm;
    }
    settings.docs_url = section.key("docs_url").and_then(|node| docs_url(&node));
    section.finish();
    settings
}

fn realm(node: &Node<'_>) -> Option<String> {
    let realm = node.name()?;
    let plain = |byte: u8| (0x20..=0x7e).contains(&byte) && !b"\"\\".contains(&byte);
    if realm.len() <= 128 && realm.bytes().all(plain) {
        Some(realm.to_owned())
    } else {
        node.report_value("must be at most 128 printable ASCII characters without `\"` and `\\`")
    }
}

fn docs_url(node: &Node<'_>) -> Option<String> {
    let url = node.name()?;
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains('#');
    if plain && (url.starts_with("https://") || url.starts_with("http://")) {
        Some(url.to_owned())
    } else {
        node.report_value("must be an http(s) URL without a fragment; `#code` is appended to it")
    }
}

pub(super) fn log(node: Option<&Node<'_>>) -> record::Settings {
    let mut settings = record::Settings {
        allow: 0.0,
        deny: 1.0,
        shadow: 1.0,
        subject: Subject::Hash,
        hash_key_env: None,
        access_fields: vec![AccessField::CorrelationId, AccessField::Verdict],
    };
    let Some(section) = node.and_then(Node::section) else {
        return settings;
    };
    let share = |section: &Section<'_>, key, default| {
        section
            .key(key)
            .and_then(|node| node.fraction())
            .unwrap_or(default)
    };
    settings.allow = share(&section, "allow", settings.allow);
    settings.deny = share(&section, "deny", settings.deny);
    settings.shadow = share(&section, "shadow", settings.shadow);
    let words = [("hash", Subject::Hash), ("none", Subject::None)];
    if let Some(subject) = section.key("subject").and_then(|node| node.one_of(&words)) {
        settings.subject = subject;
    }
    settings.hash_key_env = section
        .key("hash_key_env")
        .and_then(|node| node.name().map(str::to_owned));
    if let Some(fields) = section.key("access_fields").and_then(|node| {
        if node.items()?.is_empty() {
            return Some(Vec::new());
        }
        node.set("", |item| item.one_of(&AccessField::WORDS))
    }) {
        settings.access_fields = fields;
    }
    section.finish();
    settings
}
