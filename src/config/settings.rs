//! The small sections: `identity`, `correlation`, `responses`, `log`.

use super::problem::Fault;
use super::reader::{Node, Section};
use crate::claims::ClaimPath;
use crate::identity::{IdentityHeader, OnSpoof};
use crate::record::{AccessField, Subject};
use crate::{correlation, record, reply};

/// The config's `identity`.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Headers that are set from verified claims, and that a client can't bring itself.
    pub headers: Vec<IdentityHeader>,
    /// What happens to a request that brings one of them.
    pub on_spoof: OnSpoof,
    /// Further headers that are taken from every request, in lower case.
    pub strip: Vec<String>,
}

/// Headers by which a backend would see another method or URL than the one decided on.
const OVERRIDES: [&str; 5] = [
    "x-http-method-override",
    "x-method-override",
    "x-http-method",
    "x-original-url",
    "x-rewrite-url",
];

/// Header names that the filter can neither set nor take away without breaking the request.
const UNTOUCHABLE: [&str; 7] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "te",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn identity(node: Option<&Node<'_>>) -> Identity {
    let mut identity = Identity {
        headers: Vec::new(),
        on_spoof: OnSpoof::Strip,
        strip: OVERRIDES.map(str::to_owned).to_vec(),
    };
    let Some(section) = node.and_then(Node::section) else {
        return identity;
    };
    if let Some(entries) = section.key("headers").and_then(|node| node.entries()) {
        identity.headers = entries
            .iter()
            .filter_map(|(name, node)| header(name, node))
            .collect();
        let mut folded: Vec<String> = Vec::new();
        for (name, node) in &entries {
            let fold = name.to_ascii_lowercase().replace('_', "-");
            if folded.contains(&fold) {
                node.refuse_header("two headers that differ only in case or in `-` and `_`");
            }
            folded.push(fold);
        }
    }
    if let Some(word) = section
        .key("on_spoof")
        .and_then(|node| node.one_of(&[("strip", OnSpoof::Strip), ("reject", OnSpoof::Reject)]))
    {
        identity.on_spoof = word;
    }
    if let Some(items) = section.key("strip").and_then(|node| node.items()) {
        identity.strip = items.iter().filter_map(settable_header).collect();
    }
    section.finish();
    identity
}

impl Node<'_> {
    fn refuse_header(&self, why: &str) {
        self.refuse::<()>(Fault::Conflict(why.to_owned()));
    }
}

fn header(name: &str, node: &Node<'_>) -> Option<IdentityHeader> {
    let claim = node.claim_path();
    let Some(lower) = super::reader::header_name(name) else {
        return node.refuse(Fault::Conflict(format!(
            "{name:?} is no header name; letters, digits and `-` are"
        )));
    };
    if UNTOUCHABLE.contains(&lower.as_str()) {
        return node.refuse(Fault::Conflict(format!(
            "{lower} belongs to HTTP itself; choose a name of your own, like x-auth-subject"
        )));
    }
    Some(IdentityHeader {
        name: lower,
        claim: claim?,
    })
}

pub(super) fn settable_header(node: &Node<'_>) -> Option<String> {
    let name = node.header_name()?;
    if UNTOUCHABLE.contains(&name.as_str()) {
        return node.refuse_value("a header that does not belong to HTTP itself");
    }
    Some(name)
}

pub(super) fn correlation(node: Option<&Node<'_>>) -> correlation::Settings {
    let mut settings = correlation::Settings {
        header: "x-correlation-id".to_owned(),
        claim: Some(ClaimPath::from("cid")),
        accept: vec!["x-correlation-id".to_owned()],
        response_header: true,
    };
    let Some(section) = node.and_then(Node::section) else {
        return settings;
    };
    if let Some(name) = section
        .key("header")
        .and_then(|node| settable_header(&node))
    {
        settings.accept = vec![name.clone()];
        settings.header = name;
    }
    if let Some(claim) = section
        .key("claim")
        .and_then(|node| claim_name_or_path(&node))
    {
        settings.claim = Some(claim);
    }
    if let Some(items) = section.key("accept").and_then(|node| node.items()) {
        settings.accept = items.iter().filter_map(accepted_header).collect();
    }
    if let Some(flag) = section
        .key("response_header")
        .and_then(|node| node.boolean())
    {
        settings.response_header = flag;
    }
    section.finish();
    settings
}

/// A header that may hold a correlation ID; not one whose values are secrets, for IDs go into logs.
fn accepted_header(node: &Node<'_>) -> Option<String> {
    let name = node.header_name()?;
    if ["authorization", "cookie", "proxy-authorization"].contains(&name.as_str()) {
        return node.refuse_value("a header that holds no secrets, as IDs go into logs");
    }
    Some(name)
}

/// A top-level claim by its name, or a path.
pub(super) fn claim_name_or_path(node: &Node<'_>) -> Option<ClaimPath> {
    match node.json().as_str() {
        Some(_) => node.name().map(ClaimPath::from),
        None => node.claim_path(),
    }
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
    if let Some(realm) = section.key("realm").and_then(|node| {
        let realm = node.name()?;
        let plain = realm.len() <= 128
            && realm
                .bytes()
                .all(|byte| (0x20..=0x7e).contains(&byte) && !b"\"\\".contains(&byte));
        if plain {
            Some(realm)
        } else {
            node.refuse_value("up to 128 printable ASCII characters without `\"` and `\\`")
        }
    }) {
        settings.realm = realm.to_owned();
    }
    settings.docs_url = section.key("docs_url").and_then(|node| {
        let url = node.name()?;
        let plain = url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains('#');
        if plain && (url.starts_with("https://") || url.starts_with("http://")) {
            Some(url.to_owned())
        } else {
            node.refuse_value("an http(s) URL without a fragment; `#code` is put behind it")
        }
    });
    section.finish();
    settings
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
        let mut fields = Vec::new();
        for item in node.items()? {
            let field = item.one_of(&AccessField::WORDS)?;
            if fields.contains(&field) {
                return item.refuse_value("it stands in this list already");
            }
            fields.push(field);
        }
        Some(fields)
    }) {
        settings.access_fields = fields;
    }
    section.finish();
    settings
}
