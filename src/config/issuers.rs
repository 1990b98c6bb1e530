//! The section `claims`: the token's header, and the accepted issuers.

use std::collections::HashSet;

use super::conflict::Conflict;
use super::error::ErrorKind;
use super::headers::Purpose;
use super::keys;
use super::reader::{Collector, Node, read_all};
use super::section::Section;
use super::settings::default_token_header;
use crate::bytes::ByteSet;
use crate::claims::ClaimPath;
use crate::header_name::HeaderName;
use crate::token::{Algorithm, Issuer, MAX_LEEWAY, OneUse, RequestBinding, Revoked};

/// The config's `claims`.
#[derive(Debug)]
pub struct Claims {
    /// The header that carries the token.
    pub header: HeaderName,
    /// The text before the token in the header, not case-sensitive; may be empty.
    pub prefix: String,
    /// Whether the token is forwarded to the upstream.
    pub forward: bool,
    /// The maximum size of the header's value in bytes, prefix included.
    pub max_bytes: usize,
    /// The maximum number of cached tokens per worker; 0 disables the cache.
    pub cache_entries: usize,
    /// Whether the host's `verify_signature` is never used.
    pub portable: bool,
    /// The accepted issuers; at least one.
    pub issuers: Vec<Issuer>,
}

const YEAR: u64 = 366 * 86_400;

pub(super) fn claims(node: &Node<'_>, collector: &Collector) -> Option<Claims> {
    let section = node.section()?;
    let header = if section.has("header") {
        section.key("header").and_then(|node| {
            let name = node.settable_header()?;
            node.use_header(&name, Purpose::Token);
            Some(name)
        })
    } else {
        section.key("header");
        default_token_header(collector, section.path_of("header"))
    };
    let prefix = section.key("prefix").and_then(|node| {
        let text = node.text()?;
        let plain = text.len() <= 64 && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        if plain {
            Some(text)
        } else {
            node.report_value("must be at most 64 printable ASCII characters")
        }
    });
    let forward = section
        .key("forward")
        .and_then(|node| node.boolean())
        .unwrap_or(false);
    let max_bytes = whole(&section, "max_bytes", 256, 65_536, 8_192);
    let cache_entries = whole(&section, "cache_entries", 0, 1_000_000, 4_096);
    let words = [("auto", false), ("portable", true)];
    let portable = section
        .key("verification")
        .and_then(|node| node.one_of(&words))
        .unwrap_or(false);
    let mut names = HashSet::new();
    let issuers = section
        .required("issuers", "a list of the issuers whose tokens are accepted")
        .and_then(|node| {
            node.list(
                "without an issuer no token can be verified; add at least one",
                |node| issuer(node, &mut names),
            )
        });
    section.finish();
    Some(Claims {
        header: header?,
        prefix: prefix.unwrap_or_default().to_owned(),
        forward,
        max_bytes,
        cache_entries,
        portable,
        issuers: issuers?,
    })
}

fn whole(section: &Section<'_>, key: &'static str, least: u64, most: u64, default: usize) -> usize {
    section
        .key(key)
        .and_then(|node| node.integer(least, most))
        .and_then(|number| usize::try_from(number).ok())
        .unwrap_or(default)
}

fn issuer(node: &Node<'_>, names: &mut HashSet<String>) -> Option<Issuer> {
    let section = node.section()?;
    let name = section
        .required(
            "issuer",
            "the exact `iss` of the tokens, like https://edge.example.com",
        )
        .and_then(|node| {
            let name = node.name()?;
            if names.insert(name.to_owned()) {
                Some(name.to_owned())
            } else {
                node.report_value("another entry has this issuer; put all its keys into one entry")
            }
        });
    let audiences = audiences(&section);
    let algorithms = section
        .required(
            "algorithms",
            "a list of the algorithms that its keys sign with, like [ES256]",
        )
        .and_then(|node| algorithms(&node));
    let token_type = section
        .key("type")
        .and_then(|node| node.name().map(str::to_owned));
    let keys = section
        .required("keys", "an object with inline, remote or secrets")
        .and_then(|node| keys::keys(&node, algorithms.as_deref()));
    let leeway = section
        .key("leeway")
        .and_then(|node| node.seconds(0, MAX_LEEWAY))
        .unwrap_or(10);
    let max_age = section
        .key("max_age")
        .and_then(|node| node.seconds(1, YEAR));
    let max_lifetime = section
        .key("max_lifetime")
        .and_then(|node| node.seconds(1, YEAR));
    let require = section
        .key("require")
        .and_then(|node| {
            node.list(
                "list the claims that every token must have, or remove the key",
                Node::claim,
            )
        })
        .unwrap_or_default();
    let bind = section
        .key("bind")
        .and_then(|node| binding(&node))
        .unwrap_or_default();
    let one_use = section.key("one_use").and_then(|node| one_use(&node));
    let revoked = section
        .key("revoked")
        .and_then(|node| revoked(&node))
        .unwrap_or_default();
    let not_after = section.key("not_after").and_then(|node| node.rfc3339());
    section.finish();
    let keys = keys?;
    Some(Issuer {
        name: name?,
        audiences: audiences?,
        algorithms: algorithms?,
        token_type,
        inline: keys.inline,
        remote: keys.remote,
        secrets: keys.secrets,
        leeway,
        max_age,
        max_lifetime,
        require,
        bind,
        one_use,
        revoked,
        not_after,
    })
}

/// `Some(None)` means any audience.
#[expect(
    clippy::option_option,
    reason = "any audience and audiences that cannot be read are different"
)]
fn audiences(section: &Section<'_>) -> Option<Option<Vec<String>>> {
    let listed = section.optional("audiences", |node| {
        node.names("list the audiences of this mesh, or write any_audience: true")
    });
    let any = section.optional("any_audience", Node::boolean);
    match (listed?, any?) {
        (Some(audiences), None | Some(false)) => Some(Some(audiences)),
        (None, Some(true)) => Some(None),
        (Some(_), Some(true)) => section.report(Some("any_audience"), Conflict::AnyAudience),
        (None, None | Some(false)) => section.report(
            Some("audiences"),
            ErrorKind::Missing {
                expected: "a list of which a token's `aud` must name one, or any_audience: true",
            },
        ),
    }
}

fn algorithms(node: &Node<'_>) -> Option<Vec<Algorithm>> {
    let algorithms = node.set("name at least one algorithm, like [ES256]", |item| {
        let names = Algorithm::ALL.map(|algorithm| (algorithm.name(), algorithm));
        item.one_of(&names)
    })?;
    let symmetric = algorithms
        .iter()
        .filter(|algorithm| algorithm.is_symmetric())
        .count();
    if symmetric != 0 && symmetric != algorithms.len() {
        return node.report(Conflict::MixedAlgorithms);
    }
    Some(algorithms)
}

fn binding(node: &Node<'_>) -> Option<RequestBinding> {
    let section = node.section()?;
    let claim = |key| section.key(key).and_then(|node| node.claim());
    let bind = RequestBinding {
        method: claim("method"),
        path: claim("path"),
        path_and_query: claim("path_and_query"),
        host: claim("host"),
    };
    if section.finish() && bind == RequestBinding::default() {
        section.report::<()>(
            None,
            ErrorKind::EmptyList {
                expected: "bind at least one of method, path, path_and_query and host to a claim",
            },
        );
    }
    Some(bind)
}

fn one_use(node: &Node<'_>) -> Option<OneUse> {
    let section = node.section()?;
    let claim = section.optional("claim", Node::claim);
    let entries = whole(&section, "entries", 100, 1_000_000, 100_000);
    section.finish();
    Some(OneUse {
        claim: claim?.unwrap_or_else(|| ClaimPath::from("jti")),
        entries,
    })
}

fn revoked(node: &Node<'_>) -> Option<Revoked> {
    let section = node.section()?;
    let set = |key, read: fn(&Node<'_>) -> Option<String>| -> HashSet<String> {
        let items = section.key(key).and_then(|node| node.items());
        let texts = items.and_then(|items| read_all(&items, read));
        texts.unwrap_or_default().into_iter().collect()
    };
    let text = |node: &Node<'_>| node.name().map(str::to_owned);
    let revoked = Revoked {
        kids: set("kids", text),
        thumbprints: set("thumbprints", thumbprint),
        subjects: set("subjects", text),
        token_ids: set("token_ids", text),
    };
    section.finish();
    Some(revoked)
}

/// An RFC 7638 thumbprint. Any other text would revoke nothing.
fn thumbprint(node: &Node<'_>) -> Option<String> {
    let text = node.name()?;
    static BASE64URL: ByteSet = ByteSet::alphanumeric_and(b"-_");
    // 43 characters encode 258 bits, of which the last two must be 0.
    static LAST: ByteSet = ByteSet::of(b"AEIMQUYcgkosw048");
    let canonical = text.bytes().last().is_some_and(|byte| LAST.has(byte));
    if text.len() == 43 && BASE64URL.has_all(text.as_bytes()) && canonical {
        Some(text.to_owned())
    } else {
        node.report_value(
            "must be an RFC 7638 thumbprint: SHA-256 in base64url without padding, 43 characters",
        )
    }
}
