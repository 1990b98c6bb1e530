//! The keys that a config does not hold: secrets of the environment, and keys of key servers.

use std::path::{Path, PathBuf};

use clap::Args;

use super::keys::file;
use super::text::printable;
use super::{CommandError, source};
use crate::config::Config;
use crate::token::{IssuerId, KeySet};

/// Where the keys come from.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Keys")]
pub(super) struct KeyOptions {
    /// The keys of an issuer's key server, from a JWKS file; may be repeated
    #[arg(long, value_name = "ISSUER=FILE")]
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
        let (name, path) = name_and_file("--jwks", pair)?;
        let issuers = config.claims.issuers.iter();
        let index = issuers.enumerate().find(|(_, issuer)| issuer.name == name);
        let Some((index, _)) = index.filter(|(_, issuer)| issuer.remote.is_some()) else {
            return Err(CommandError::Usage(format!(
                "--jwks {name}: the config has no issuer of this name with remote keys"
            )));
        };
        let source = source::read(&path)?;
        let (keys, problems) =
            KeySet::fetched(source.text.as_bytes()).map_err(|error| CommandError::Content {
                name: source.name.clone(),
                problem: error.to_string(),
            })?;
        for problem in problems {
            file::warn(format!(
                "{}: {}",
                source.name,
                printable(&problem.to_string())
            ));
        }
        sets.push((IssuerId(index), keys));
    }
    Ok(sets)
}

/// Issuers are URLs, which may have a `=` themselves; files have none by custom.
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
