//! The keys that a config does not hold: secrets of the environment, and keys of key servers.

use std::path::{Path, PathBuf};

use clap::Args;

use super::keys::{fetch, file};
use super::text::printable;
use super::{CommandError, source};
use crate::config::Config;
use crate::token::{IssuerId, KeySet};

/// Where the keys come from.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Keys")]
pub(super) struct KeyOptions {
    /// The keys of an issuer's key server, from a JWKS file or a URL; may be repeated
    #[arg(long, value_name = "ISSUER=FILE|URL")]
    jwks: Vec<String>,
    /// A secret of the config, by its environment variable, from a file; may be repeated [default: the
    /// environment]
    #[arg(long, value_name = "NAME=FILE")]
    secret: Vec<String>,
}

impl KeyOptions {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.jwks.is_empty() && self.secret.is_empty()
    }
}

/// Reads a secret by its environment variable: from the files of the options, else from the environment.
///
/// # Errors
/// A [`CommandError`] if a file cannot be read.
pub(super) fn secrets(
    options: &KeyOptions,
) -> Result<impl Fn(&str) -> Option<Vec<u8>> + use<>, CommandError> {
    let mut secrets = Vec::new();
    for pair in &options.secret {
        let (name, path) = name_and_file("--secret", pair)?;
        // The name of the file is not repeated: by mistake, it may be the secret.
        let (bytes, mode) = file::read_bytes(&path).map_err(|error| match error {
            CommandError::Input { error, .. } => CommandError::Content {
                name: format!("--secret {}", printable(&name)),
                problem: format!("the file cannot be read: {error}"),
            },
            other => other,
        })?;
        if let Some(mode) = mode {
            file::warn_of_mode(&file::name_of(&path), mode);
        }
        // An editor ends a file with a newline.
        let end = bytes.strip_suffix(b"\n").map_or(bytes.len(), <[u8]>::len);
        secrets.push((name, bytes.get(..end).unwrap_or_default().to_vec()));
    }
    Ok(move |name: &str| {
        let given = secrets.iter().find(|(known, _)| known == name);
        given.map(|(_, secret)| secret.clone()).or_else(|| {
            let value = std::env::var_os(name)?;
            Some(value.into_encoded_bytes())
        })
    })
}

/// The key sets of the options, each for its issuer.
///
/// # Errors
/// A [`CommandError`] if a file cannot be read or is no key set, or the config has no such issuer.
pub(super) fn key_sets(
    options: &KeyOptions,
    config: &Config,
) -> Result<Vec<(IssuerId, KeySet)>, CommandError> {
    let mut sets = Vec::new();
    for pair in &options.jwks {
        let (issuer, place) = issuer_and_place(pair, config)?;
        let (name, bytes) = if fetch::is_url(place) {
            (printable(place), fetch::get(place)?)
        } else {
            let source = source::read(Path::new(place))?;
            (source.name.clone(), source.text.clone().into_bytes())
        };
        let (keys, problems) = KeySet::fetched(&bytes).map_err(|error| CommandError::Content {
            name: name.clone(),
            problem: error.to_string(),
        })?;
        for problem in problems {
            file::warn(format!("{name}: {}", printable(&problem.to_string())));
        }
        sets.push((issuer, keys));
    }
    Ok(sets)
}

/// The issuer before the `=`, and the file or URL after it; both may have a `=` themselves.
fn issuer_and_place<'p>(
    pair: &'p str,
    config: &Config,
) -> Result<(IssuerId, &'p str), CommandError> {
    let issuers = config.claims.issuers.iter().enumerate();
    let mut with_remote = issuers.filter(|(_, issuer)| issuer.remote.is_some());
    let found = with_remote.find_map(|(index, issuer)| {
        let place = pair.strip_prefix(&issuer.name)?.strip_prefix('=')?;
        (!place.is_empty()).then_some((IssuerId(index), place))
    });
    found.ok_or_else(|| {
        CommandError::Usage(format!(
            "--jwks {}: the config has no issuer of this name with remote keys; write ISSUER=FILE or ISSUER=URL",
            printable(pair.split('=').next().unwrap_or_default())
        ))
    })
}

/// The name before the last `=`, and the file after it.
fn name_and_file(option: &str, pair: &str) -> Result<(String, PathBuf), CommandError> {
    match pair.rsplit_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.to_owned(), Path::new(file).to_owned()))
        }
        // Not repeated: it may be a secret.
        _ => Err(CommandError::Usage(format!(
            "{option}: write it as {option} NAME=FILE"
        ))),
    }
}
