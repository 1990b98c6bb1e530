//! `edge-claims keys`: makes, publishes and checks keys.

mod check;
pub(super) mod fetch;
pub(super) mod file;
pub(super) mod generate;
pub(super) mod json;
pub(super) mod new;
pub(super) mod private;
pub(super) mod public;

use std::io::Write;

use clap::{Args, Subcommand};

use super::{Answer, CommandError};

/// Generate, publish and check keys.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    New(new::NewOptions),
    #[command(visible_alias = "public")]
    Jwks(public::JwksOptions),
    Thumbprint(public::ThumbprintOptions),
    Check(check::CheckOptions),
}

/// Runs one of the subcommands of `keys`.
///
/// # Errors
/// A [`CommandError`]
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    match &options.action {
        Action::New(options) => new::run(options, output),
        Action::Jwks(options) => public::run_jwks(options, output),
        Action::Thumbprint(options) => public::run_thumbprint(options, output),
        Action::Check(options) => check::run(options, output),
    }
}
