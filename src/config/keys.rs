//! The keys of an issuer: `inline`, `remote` and `secrets`.

use std::collections::HashSet;

use super::conflict::Conflict;
use super::error::ErrorKind;
use super::reader::Node;
use crate::json::Json;
use crate::token::jwks::KeySetError;
use crate::token::{Algorithm, KeySet, RemoteKeys, Secret};

pub(super) struct Keys {
    pub(super) inline: KeySet,
    pub(super) remote: Option<RemoteKeys>,
    pub(super) secrets: Vec<Secret>,
}

const DAY: u64 = 86_400;

/// `algorithms` is `None` if they could not be read.
pub(super) fn keys(node: &Node<'_>, algorithms: Option<&[Algorithm]>) -> Option<Keys> {
    let section = node.section()?;
    let symmetric = algorithms.map(|all| all.iter().any(|algorithm| algorithm.is_symmetric()));
    let public = |node: &Node<'_>| match symmetric {
        Some(true) => node.report::<()>(Conflict::PublicKeysWithHmac),
        Some(false) | None => Some(()),
    };
    let inline = section.optional("inline", |node| public(node).and_then(|()| inline(node)));
    let remote = section.optional("remote", |node| public(node).and_then(|()| remote(node)));
    let secrets = section.optional("secrets", |node| match symmetric {
        Some(false) => node.report(Conflict::SecretsWithoutHmac),
        Some(true) | None => {
            let mut kids = HashSet::new();
            node.list("add at least one secret", |node| secret(node, &mut kids))
        }
    });
    let is_valid = section.finish();
    let (inline, remote, secrets) = (inline?, remote?, secrets?);
    if inline.is_none() && remote.is_none() && secrets.is_none() {
        // Otherwise an unknown key may be a misspelled one of these.
        if is_valid {
            section.report::<()>(
                None,
                ErrorKind::EmptyList {
                    expected: "add at least one of inline, remote and secrets",
                },
            );
        }
        return None;
    }
    Some(Keys {
        inline: inline.unwrap_or_default(),
        remote,
        secrets: secrets.unwrap_or_default(),
    })
}

fn inline(node: &Node<'_>) -> Option<KeySet> {
    let errors = match KeySet::inline(node.json()) {
        Ok(keys) => return Some(keys),
        Err(errors) => errors,
    };
    for error in errors {
        match error {
            KeySetError::Key { index, problem } => {
                let path = node.path.key("keys").index(index);
                match yaml_boolean(node.json(), index) {
                    // The missing member is the one that became a boolean.
                    Some((was, is)) => node
                        .collector
                        .add(&path.key(is), Conflict::YamlBoolean { was, is }),
                    None => node.collector.add(&path, problem),
                }
            }
            KeySetError::TooLarge { .. }
            | KeySetError::Syntax { .. }
            | KeySetError::NoKeySet
            | KeySetError::Empty
            | KeySetError::TooMany { .. } => {
                node.report::<()>(error);
            }
        }
    }
    None
}

/// A member `y` (of EC keys) or `n` (of RSA keys) that YAML 1.1 turned into a boolean: its name before and
/// after.
fn yaml_boolean(jwks: &Json, index: usize) -> Option<(&'static str, &'static str)> {
    let keys = jwks.as_object()?.get("keys")?.as_array()?;
    let key = keys.get(index)?.as_object()?;
    [("y", "true"), ("n", "false")]
        .into_iter()
        .find(|(_, is)| key.get(is).is_some())
}

fn remote(node: &Node<'_>) -> Option<RemoteKeys> {
    let section = node.section()?;
    let url = section
        .required("url", "the http(s) URL of the key set")
        .and_then(|node| key_set_url(&node));
    let cluster = section
        .required(
            "cluster",
            "the Envoy cluster that reaches it; in Istio outbound|443||host for a ServiceEntry",
        )
        .and_then(|node| node.name().map(str::to_owned));
    let refresh = section.key("refresh").and_then(|node| node.seconds(1, DAY));
    let refresh = refresh.unwrap_or(300);
    let timeout = section
        .key("timeout")
        .and_then(|node| node.milliseconds(10, 60_000));
    let max_stale = section.optional("max_stale", |node| match node.seconds(1, 30 * DAY)? {
        max_stale if max_stale < refresh => node
            .report_value("must not be shorter than refresh, or keys expire between two fetches"),
        max_stale => Some(max_stale),
    });
    section.finish();
    Some(RemoteKeys {
        url: url?,
        cluster: cluster?,
        refresh,
        timeout: timeout.unwrap_or(2_000),
        max_stale: max_stale?.unwrap_or_else(|| DAY.max(refresh)),
    })
}

fn key_set_url(node: &Node<'_>) -> Option<String> {
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
        node.report_value("must be an http(s) URL without user information and fragment")
    }
}

fn secret(node: &Node<'_>, kids: &mut HashSet<String>) -> Option<Secret> {
    let section = node.section()?;
    let env = section
        .required(
            "env",
            "the name of the VM's environment variable that holds the secret",
        )
        .and_then(|node| node.name().map(str::to_owned));
    let kid = section.optional("kid", |node| {
        let kid = node.name()?;
        if kids.insert(kid.to_owned()) {
            Some(kid.to_owned())
        } else {
            node.report_value("another secret has this kid; give each its own")
        }
    });
    section.finish();
    Some(Secret {
        env: env?,
        kid: kid?,
    })
}
