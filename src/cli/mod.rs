//! The command-line tool, `edge-claims`.
//!
//! Exit codes: 0 success; 1 negative result (a config with errors, an ID that is in no log, …); 2 failure
//! (wrong usage, a file that cannot be read or written).

mod access;
mod analysis;
mod check;
mod clock;
mod completions;
mod diagnostic;
mod diff;
mod error;
mod explain;
mod import;
mod init;
mod join;
mod keys;
mod keys_of_config;
mod man;
mod matrix;
mod mint;
mod progress;
mod schema;
mod source;
mod test;
mod text;
mod token;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::error::CommandError;

/// See, test and change a policy of the edge-claims filter, and look into its logs.
#[derive(Debug, Parser)]
#[command(name = "edge-claims", version, after_help = EXAMPLES)]
struct Command {
    #[command(subcommand)]
    subcommand: Subcommands,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims init envoy                                    # a starter that runs
  edge-claims check config.yaml                             # errors, tests, warnings
  edge-claims explain config.yaml https://shop.example.com/orders
  edge-claims diff old.yaml new.yaml                        # who gains, who loses access
  edge-claims join edge.log mesh.log                        # where requests ended

Exit codes:
  0  success
  1  a finding: errors, denied, somebody gains access
  2  wrong usage, or a file cannot be read";

#[derive(Debug, Subcommand)]
enum Subcommands {
    Check(check::Options),
    Completions(completions::Options),
    Diff(diff::Options),
    Explain(Box<explain::Options>),
    Import(import::Options),
    Init(init::Options),
    Join(Box<join::Options>),
    Keys(keys::Options),
    Man(man::Options),
    Matrix(matrix::Options),
    Mint(mint::Options),
    Schema(schema::Options),
    Test(test::Options),
    Token(token::Options),
}

/// The result of a subcommand that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
}

/// Runs the tool with its arguments, of which the first is the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match Command::try_parse_from(arguments) {
        Ok(command) => command,
        Err(usage) => {
            // For clap, `--help` and `--version` are errors, too, which it prints to stdout.
            let _ = usage.print();
            return ExitCode::from(if usage.use_stderr() { 2 } else { 0 });
        }
    };
    let mut output = io::BufWriter::new(io::stdout().lock());
    let result = match &command.subcommand {
        Subcommands::Check(options) => check::run(options, &mut output),
        Subcommands::Completions(options) => completions::run(options, &mut output),
        Subcommands::Diff(options) => diff::run(options, &mut output),
        Subcommands::Explain(options) => explain::run(options, &mut output),
        Subcommands::Import(options) => import::run(options, &mut output),
        Subcommands::Init(options) => init::run(options, &mut output),
        Subcommands::Join(options) => join::run(options, &mut output),
        Subcommands::Keys(options) => keys::run(options, &mut output),
        Subcommands::Man(options) => man::run(options, &mut output),
        Subcommands::Matrix(options) => matrix::run(options, &mut output),
        Subcommands::Mint(options) => mint::run(options, &mut output),
        Subcommands::Schema(options) => schema::run(options, &mut output),
        Subcommands::Test(options) => test::run(options, &mut output),
        Subcommands::Token(options) => token::run(options, &mut output),
    };
    let result = result.and_then(|answer| {
        output.flush()?;
        Ok(answer)
    });
    match result {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        // A reader such as `head` closed the pipe.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("edge-claims: {error}");
            ExitCode::from(2)
        }
    }
}
