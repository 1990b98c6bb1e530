//! `edge-claims token`: looks into tokens.

pub(super) mod checks;
pub(super) mod explain;
mod inspect;
mod parts;
mod print;
mod words;

use std::io::Write;

use clap::{Args, Subcommand};

use super::{Answer, CommandError};

/// Look into tokens.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Inspect(inspect::InspectOptions),
}

/// Runs one of the subcommands of `token`.
///
/// # Errors
/// A [`CommandError`]
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    match &options.action {
        Action::Inspect(options) => inspect::run(options, output),
    }
}
