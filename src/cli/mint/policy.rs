//! The one config of a file, and its issuers by name.

use std::path::Path;

use crate::cli::text::printable;
use crate::cli::{CommandError, source};
use crate::config::Config;
use crate::token::Issuer;

/// Loads the config of a file; if it has several, the one whose title contains `select`.
///
/// # Errors
/// A [`CommandError`] if the file cannot be read, does not have one such config, or the config has errors.
pub(in crate::cli) fn load(path: &Path, select: Option<&str>) -> Result<Config, CommandError> {
    source::load(&source::one_config(path, select)?)
}

/// The issuer of that name; without a name, the only one.
///
/// # Errors
/// [`CommandError::Usage`] with the names to choose from.
pub(super) fn choose<'c>(
    config: &'c Config,
    name: Option<&str>,
) -> Result<&'c Issuer, CommandError> {
    let issuers = &config.claims.issuers;
    let problem = match (name, issuers.as_slice()) {
        (None, [only]) => return Ok(only),
        (None, _) => "the config has several issuers; choose one with --issuer".to_owned(),
        (Some(name), issuers) => match issuers.iter().find(|issuer| issuer.name == name) {
            Some(issuer) => return Ok(issuer),
            None => format!("the config has no issuer {}", printable(name)),
        },
    };
    Err(CommandError::Usage(format!("{problem}: {}", names(config))))
}

/// The names of the issuers.
pub(in crate::cli) fn names(config: &Config) -> String {
    let names = config.claims.issuers.iter();
    let names: Vec<String> = names.map(|issuer| printable(&issuer.name)).collect();
    names.join(", ")
}
