//! The operator's command, `edge-claims`.
//!
//! Exit codes: 0 success; 1 success, and the answer is no (an ID that is in no log, a `--strict` join that
//! does not add up); 2 failure: wrong usage, or a file that cannot be read or written.

mod join;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Looks into edge claims: what the edge and the mesh logged about one request.
#[derive(Debug, Parser)]
#[command(name = "edge-claims", version)]
struct Command {
    #[command(subcommand)]
    subcommand: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    Join(join::Options),
}

/// The result of a subcommand that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
}

/// Runs the command with its arguments, the program's name first; prints to stdout and stderr.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match Command::try_parse_from(arguments) {
        Ok(command) => command,
        Err(usage) => {
            // `--help` and `--version` are errors of clap, too, which it prints to stdout.
            let _ = usage.print();
            return ExitCode::from(if usage.use_stderr() { 2 } else { 0 });
        }
    };
    let mut output = io::BufWriter::new(io::stdout().lock());
    let result = match &command.subcommand {
        Subcommands::Join(options) => join::run(options, &mut output),
    };
    let result = result.and_then(|answer| {
        output.flush().map_err(join::JoinError::Output)?;
        Ok(answer)
    });
    match result {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        // The reader closed the pipe, as `head` does.
        Err(join::JoinError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("edge-claims: {error}");
            ExitCode::from(2)
        }
    }
}
