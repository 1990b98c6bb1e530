//! The section `claims`: where the token stands and who may have signed it.

use std::collections::HashSet;
use std::time::SystemTime;

use super::problem::Fault;
use super::reader::{Node, Section};
use super::settings::{claim_name_or_path, settable_header};
use crate::claims::ClaimPath;
use crate::json::Json;
use crate::token::{
    Algorithm, Issuer, KeySet, MAX_LEEWAY, OneUse, RemoteKeys, RequestBinding, Revoked, Secret,
};

/// The config's `claims`.
#[derive(Debug)]
pub struct Claims {
    /// The header that carries the token, in lower case.
    pub header: String,
    /// What stands before the token in the header, compared without regard to case; may be empty.
    pub prefix: String,
    /// Whether the upstream gets the token too.
    pub forward: bool,
    /// The largest token, in bytes, prefix included.
    pub max_bytes: usize,
    /// Verified tokens kept per worker; 0 turns the cache off.
    pub cache_entries: usize,
    /// Never use the host's `verify_signature`.
    pub portable: bool,
    /// Who may have signed the token; at least one.
    pub issuers: Vec<Issuer>,
}

const DAY: u64 = 86_400;
const YEAR: u64 = 366 * DAY;

pub(super) fn claims(node: &Node<'_>) -> Option<Claims> {
    let section = node.section()?;
    let header = section.key("header").map_or_else(
        || Some("x-edge-claims".to_owned()),
        |node| settable_header(&node),
    );
    let prefix = section.key("prefix").and_then(|node| {
        let text = node.text()?;
        let plain = text.len() <= 64 && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        if plain {
            Some(text)
        } else {
            node.refuse_value("up to 64 printable ASCII characters")
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
        .required("issuers", "a list of the issuers whose tokens count")
        .and_then(|node| {
            node.list(
                "at least one issuer; without any no token can be verified",
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
                node.refuse_value("an issuer stands once; put all its keys into one entry")
            }
        });
    let audiences = audiences(&section);
    let algorithms = section
        .required(
            "algorithms",
            "the algorithms that its keys sign with, like [ES256]",
        )
        .and_then(|node| algorithms(&node));
    let token_type = section
        .key("type")
        .and_then(|node| node.name().map(str::to_owned));
    let keys = section
        .required("keys", "at least one of inline, remote and secrets")
        .and_then(|node| keys(&node, algorithms.as_deref()));
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
                "the claims that every token has, or leave the key out",
                claim_name_or_path,
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
    let not_after = section.key("not_after").and_then(|node| rfc3339(&node));
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

/// `Some(None)` is any audience.
#[allow(clippy::option_option)]
fn audiences(section: &Section<'_>) -> Option<Option<Vec<String>>> {
    let listed = section.key("audiences");
    let any = section.key("any_audience").map(|node| node.boolean());
    match (listed, any) {
        (Some(node), None | Some(Some(false))) => node
            .names("the audiences of this mesh, or any_audience: true")
            .map(Some),
        (None, Some(Some(true))) => Some(None),
        (Some(_), Some(Some(true))) => section.refuse(
            Some("any_audience"),
            Fault::Conflict("audiences and any_audience contradict each other; keep one".into()),
        ),
        (None, None | Some(Some(false))) => section.refuse(
            Some("audiences"),
            Fault::Missing {
                expected: "a list of which a token's `aud` must name one, or any_audience: true",
            },
        ),
        (_, Some(None)) => None,
    }
}

fn algorithms(node: &Node<'_>) -> Option<Vec<Algorithm>> {
    let mut algorithms: Vec<Algorithm> = Vec::new();
    for item in node.items()? {
        let Some(algorithm) = Algorithm::from_name(item.text()?) else {
            let all: Vec<&str> = Algorithm::ALL
                .iter()
                .map(|algorithm| algorithm.name())
                .collect();
            return item.refuse_value(format!("one of {}", all.join(", ")));
        };
        if algorithms.contains(&algorithm) {
            return item.refuse_value("it stands in this list already");
        }
        algorithms.push(algorithm);
    }
    if algorithms.is_empty() {
        return node.refuse(Fault::EmptyList {
            expected: "name the algorithms, like [ES256]",
        });
    }
    let shared_secret = |algorithm: &&Algorithm| algorithm.is_symmetric();
    if algorithms.iter().any(|algorithm| algorithm.is_symmetric())
        && algorithms.iter().filter(shared_secret).count() != algorithms.len()
    {
        return node.refuse(Fault::Conflict(
            "HS* stands together with public-key algorithms; give the secret an issuer of its own, \
             or a public key could be taken for the secret"
                .into(),
        ));
    }
    Some(algorithms)
}

struct Keys {
    inline: KeySet,
    remote: Option<RemoteKeys>,
    secrets: Vec<Secret>,
}

fn keys(node: &Node<'_>, algorithms: Option<&[Algorithm]>) -> Option<Keys> {
    let section = node.section()?;
    let inline = section.key("inline").map(|node| inline(&node));
    let remote = section.key("remote").map(|node| remote(&node));
    let secrets = section.key("secrets").map(|node| {
        let mut kids = HashSet::new();
        node.list("at least one secret", |node| secret(node, &mut kids))
    });
    let none = inline.is_none() && remote.is_none() && secrets.is_none();
    let hmac = algorithms.map(|all| all.iter().any(|algorithm| algorithm.is_symmetric()));
    if none {
        section.refuse::<()>(
            None,
            Fault::Missing {
                expected: "it takes at least one of inline, remote and secrets",
            },
        );
    }
    if hmac == Some(false) && secrets.is_some() {
        section.refuse::<()>(
            Some("secrets"),
            Fault::Conflict("secrets are for HS256, HS384 and HS512 only".into()),
        );
    }
    if hmac == Some(true) && (inline.is_some() || remote.is_some()) {
        section.refuse::<()>(
            None,
            Fault::Conflict("HS* takes its keys from `secrets` only; a key set is public".into()),
        );
    }
    section.finish();
    if none {
        return None;
    }
    Some(Keys {
        inline: inline.unwrap_or_else(|| Some(KeySet::default()))?,
        remote: match remote {
            Some(remote) => Some(remote?),
            None => None,
        },
        secrets: secrets.unwrap_or_else(|| Some(Vec::new()))?,
    })
}

fn inline(node: &Node<'_>) -> Option<KeySet> {
    match KeySet::inline(node.json()) {
        Ok(keys) => Some(keys),
        Err(problems) => {
            for problem in problems {
                node.refuse::<()>(Fault::Conflict(problem.to_string()));
            }
            if let Some((index, was, is)) = spoilt_by_yaml(node.json()) {
                node.refuse::<()>(Fault::Conflict(format!(
                    "keys[{index}] has a member \"{is}\": YAML 1.1, which kubectl reads, makes that of a \
                     bare {was}; write \"{was}\" in quotes"
                )));
            }
            None
        }
    }
}

/// A key whose `y` (of EC) or `n` (of RSA) YAML 1.1 took for a boolean: its index, what the member was
/// and what it is.
fn spoilt_by_yaml(jwks: &Json) -> Option<(usize, &'static str, &'static str)> {
    let keys = jwks.as_object()?.get("keys")?.as_array()?;
    keys.iter().enumerate().find_map(|(index, key)| {
        let key = key.as_object()?;
        [("y", "true"), ("n", "false")]
            .into_iter()
            .find(|(_, is)| key.get(is).is_some())
            .map(|(was, is)| (index, was, is))
    })
}

fn remote(node: &Node<'_>) -> Option<RemoteKeys> {
    let section = node.section()?;
    let url = section
        .required("url", "the http(s) URL of the key set")
        .and_then(|node| {
            let url = node.name()?;
            let rest = url
                .strip_prefix("https://")
                .or_else(|| url.strip_prefix("http://"));
            let host = rest
                .and_then(|rest| rest.split(['/', '?']).next())
                .unwrap_or_default();
            let plain = url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains('#');
            if plain && !host.is_empty() && !host.contains('@') {
                Some(url.to_owned())
            } else {
                node.refuse_value("an http(s) URL without user and fragment")
            }
        });
    let cluster = section
        .required(
            "cluster",
            "the Envoy cluster that reaches it; in Istio outbound|443||host for a ServiceEntry",
        )
        .and_then(|node| node.name().map(str::to_owned));
    let refresh = section.key("refresh").and_then(|node| node.seconds(1, DAY));
    let timeout = section
        .key("timeout")
        .and_then(|node| node.milliseconds(10, 60_000));
    let max_stale = section
        .key("max_stale")
        .map(|node| (node.clone(), node.seconds(1, 30 * DAY)));
    section.finish();
    let refresh = refresh.unwrap_or(300);
    let max_stale = match max_stale {
        Some((_, None)) => return None,
        Some((node, Some(max_stale))) if max_stale < refresh => {
            return node
                .refuse_value("no shorter than refresh, or keys go stale between two fetches");
        }
        Some((_, Some(max_stale))) => max_stale,
        None => DAY.max(refresh),
    };
    Some(RemoteKeys {
        url: url?,
        cluster: cluster?,
        refresh,
        timeout: timeout.unwrap_or(2_000),
        max_stale,
    })
}

fn secret(node: &Node<'_>, kids: &mut HashSet<String>) -> Option<Secret> {
    let section = node.section()?;
    let env = section
        .required(
            "env",
            "the variable of the VM's environment that holds the secret",
        )
        .and_then(|node| node.name().map(str::to_owned));
    let kid = section.key("kid").and_then(|node| {
        let kid = node.name()?;
        if kids.insert(kid.to_owned()) {
            Some(kid.to_owned())
        } else {
            node.refuse_value("a kid of its own for each secret")
        }
    });
    section.finish();
    Some(Secret { env: env?, kid })
}

fn binding(node: &Node<'_>) -> Option<RequestBinding> {
    let section = node.section()?;
    let claim = |key| section.key(key).and_then(|node| claim_name_or_path(&node));
    let bind = RequestBinding {
        method: claim("method"),
        path: claim("path"),
        host: claim("host"),
        ..RequestBinding::default()
    };
    if !["method", "path", "host"]
        .iter()
        .any(|key| section.has(key))
    {
        section.refuse::<()>(
            None,
            Fault::EmptyList {
                expected: "bind at least one of method, path and host to a claim",
            },
        );
    }
    section.finish();
    Some(bind)
}

fn one_use(node: &Node<'_>) -> Option<OneUse> {
    let section = node.section()?;
    let claim = section.key("claim").map_or_else(
        || Some(ClaimPath::from("jti")),
        |node| claim_name_or_path(&node),
    );
    let entries = whole(&section, "entries", 100, 1_000_000, 100_000);
    section.finish();
    Some(OneUse {
        claim: claim?,
        entries,
    })
}

fn revoked(node: &Node<'_>) -> Option<Revoked> {
    let section = node.section()?;
    let set = |key| -> HashSet<String> {
        section
            .key(key)
            .and_then(|node| node.items())
            .map(|items| {
                items
                    .iter()
                    .filter_map(|item| item.name().map(str::to_owned))
                    .collect()
            })
            .unwrap_or_default()
    };
    let revoked = Revoked {
        kids: set("kids"),
        subjects: set("subjects"),
        token_ids: set("token_ids"),
        ..Revoked::default()
    };
    section.finish();
    Some(revoked)
}

/// A point in time as seconds since 1970 (RFC 3339, UTC).
pub(super) fn rfc3339(node: &Node<'_>) -> Option<u64> {
    let text = node.text()?;
    humantime::parse_rfc3339(text)
        .ok()
        .and_then(|time| Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs()))
        .or_else(|| node.refuse_value("a UTC time like 2027-01-01T00:00:00Z"))
}
