//! `edge-claims man`: the manual pages.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _};
use clap_mangen::Man;

use super::{Answer, Command, CommandError};

/// Print the manual page of the command or of a subcommand, or write all of them to a folder.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The subcommand, such as `join` or `keys new`; without it, the command itself
    #[arg(value_name = "SUBCOMMAND", conflicts_with = "out")]
    names: Vec<String>,
    /// Write the pages of the command and of all subcommands to this folder, which is made if it is missing
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims man join | man -l -
  edge-claims man keys new | man -l -
  edge-claims man --out ~/.local/share/man/man1

Exit codes:
  0  done
  2  wrong usage, or a page cannot be written";

/// Prints or writes the pages.
///
/// # Errors
/// [`CommandError::Usage`], [`CommandError::Create`] or [`CommandError::Output`]
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    let mut command = Command::command();
    // Gives subcommands their full names.
    command.build();
    if let Some(folder) = &options.out {
        write_all(&command, folder)?;
        return Ok(Answer::Yes);
    }
    let mut page = &command;
    for name in &options.names {
        let Some(subcommand) = page.find_subcommand(name) else {
            let names: Vec<_> = page
                .get_subcommands()
                .filter(is_shown)
                .map(clap::Command::get_name)
                .collect();
            return Err(CommandError::Usage(format!(
                "no subcommand {name:?}; there are: {}",
                names.join(", ")
            )));
        };
        page = subcommand;
    }
    Man::new(page.clone()).render(output)?;
    Ok(Answer::Yes)
}

fn write_all(command: &clap::Command, folder: &Path) -> Result<(), CommandError> {
    let failed = |path: &Path, error| CommandError::Create {
        path: path.to_owned(),
        error,
    };
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for page in std::iter::once(command).chain(pages(command)) {
        let man = Man::new(page.clone());
        let path = folder.join(man.get_filename());
        let mut text = Vec::new();
        man.render(&mut text)?;
        fs::write(&path, text).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// The subcommands that have a page, those of subcommands included.
fn pages(command: &clap::Command) -> Box<dyn Iterator<Item = &clap::Command> + '_> {
    Box::new(
        command
            .get_subcommands()
            .filter(is_shown)
            .flat_map(|subcommand| std::iter::once(subcommand).chain(pages(subcommand))),
    )
}

fn is_shown(command: &&clap::Command) -> bool {
    !command.is_hide_set() && command.get_name() != "help"
}
