//! `edge-claims completions`: what a shell needs to complete the command's arguments.

use std::io::Write;

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell as Target;

use super::{Answer, Command, CommandError};

/// Print the completion script of a shell.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims completions bash > ~/.local/share/bash-completion/completions/edge-claims
  edge-claims completions zsh > ~/.zfunc/_edge-claims        (a folder of zsh's $fpath)
  edge-claims completions fish > ~/.config/fish/completions/edge-claims.fish

Exit codes:
  0  done
  2  wrong usage, or the script cannot be written";

/// A shell that the build makes a completion script for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script.
///
/// # Errors
/// [`CommandError::Output`]
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    let shell = match options.shell {
        Shell::Bash => Target::Bash,
        Shell::Zsh => Target::Zsh,
        Shell::Fish => Target::Fish,
    };
    // The generator panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Command::command(), "edge-claims", &mut script);
    if options.shell == Shell::Bash {
        script = with_one_name(&script);
    }
    output.write_all(&script)?;
    Ok(Answer::Yes)
}

/// clap_complete spells a name with a hyphen in two ways in a script for bash, so that nothing behind a
/// subcommand is completed (<https://github.com/clap-rs/clap/issues/6421>).
fn with_one_name(script: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(script)
        .replace("edge__subcmd__claims", "edge__claims")
        .into_bytes()
}
