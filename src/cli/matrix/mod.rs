//! `edge-claims matrix`: who may use which route.
//!
//! [`mod@column`] says what is known about the sender of a request, [`evaluate`] asks the core what the access
//! rules of a route make of it, [`model`] holds the result, and the other modules print it.

mod column;
mod compare;
mod csv;
mod evaluate;
mod html;
mod json;
mod model;
mod options;
mod table;
mod words;

use std::io::Write;
use std::path::Path;

pub(super) use self::options::Options;

use self::model::{Matrix, Named};
use self::options::Format;
use super::source;
use super::{Answer, CommandError};
use crate::config::Config;

/// Prints the matrix of a config.
///
/// # Errors
/// A [`CommandError`].
pub(super) fn run(options: &Options, output: &mut impl Write) -> Result<Answer, CommandError> {
    let is_stdin = |path: &Path| path.as_os_str() == "-";
    if is_stdin(&options.config) && options.compare.as_deref().is_some_and(is_stdin) {
        return Err(CommandError::Usage(
            "only one of the two configs can be `-`, stdin".to_owned(),
        ));
    }
    let new = load(&options.config, options.select.as_deref())?;
    let old = options
        .compare
        .as_deref()
        .map(|path| load(path, options.select_old.as_deref()))
        .transpose()?;
    let mut matrix = Matrix::new(named(&new), old.as_ref().map(named), &options.columns);
    if options.changes_only && options.format != Format::Html {
        matrix.keep_changes();
    }
    match &options.out {
        None => print(&matrix, options, table::terminal_width(), output)?,
        Some(path) => write_file(path, |file| print(&matrix, options, None, file))?,
    }
    Ok(Answer::Yes)
}

fn print(
    matrix: &Matrix,
    options: &Options,
    width: Option<usize>,
    output: &mut impl Write,
) -> std::io::Result<()> {
    match options.format {
        Format::Table => table::print(matrix, width, output),
        Format::Csv => csv::print(matrix, output),
        Format::Json => json::print(matrix, output),
        Format::Html => html::print(matrix, options.changes_only, output),
    }
}

fn named((name, config): &(String, Config)) -> Named<'_> {
    Named { name, config }
}

/// The title and content of the config in a file.
fn load(path: &Path, select: Option<&str>) -> Result<(String, Config), CommandError> {
    let found = source::one_config(path, select)?;
    let config = source::load(&found)?;
    Ok((found.title(), config))
}

/// Writes a file that appears, or replaces an older one, only when it is complete.
fn write_file(
    path: &Path,
    write: impl FnOnce(&mut std::io::BufWriter<&std::fs::File>) -> std::io::Result<()>,
) -> Result<(), CommandError> {
    let failed = |error| CommandError::Create {
        path: path.to_owned(),
        error,
    };
    if path.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    // The file that a link leads to.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if path.exists() && !path.is_file() {
        // A pipe or a device cannot be replaced.
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(failed)?;
        let mut buffered = std::io::BufWriter::new(&file);
        return write(&mut buffered)
            .and_then(|()| buffered.flush())
            .map_err(failed);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut new = tempfile::Builder::new();
    new.prefix(".edge-claims-");
    // Readable by others as files are by default; the process's umask still applies.
    #[cfg(unix)]
    new.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let new = new.tempfile_in(folder).map_err(failed)?;
    let mut buffered = std::io::BufWriter::new(new.as_file());
    write(&mut buffered)
        .and_then(|()| buffered.flush())
        .map_err(failed)?;
    drop(buffered);
    new.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests;
