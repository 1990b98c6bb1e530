//! Key files: read with a size limit and a look at their permissions, written so that only the owner can read
//! them.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::cli::CommandError;
use crate::cli::text::printable;

/// A file that was read.
pub(in crate::cli) struct TextFile {
    /// Its name, for messages: the path, or `<stdin>`.
    pub(in crate::cli) name: String,
    /// Its content.
    pub(in crate::cli) text: String,
    /// Whether accounts other than its owner's may read it.
    readable_by_others: Option<u32>,
}

/// The maximum size of a key file, a token or a file of claims, in bytes: no key set, no token that the filter
/// reads is larger.
pub(in crate::cli) const MAX_BYTES: u64 = 65_536;

/// Reads a file; `-` is stdin.
///
/// # Errors
/// A [`CommandError`] if it cannot be read, is larger than [`MAX_BYTES`], empty, or not UTF-8.
pub(in crate::cli) fn read(path: &Path) -> Result<TextFile, CommandError> {
    let (bytes, readable_by_others) = read_bytes(path)?;
    let name = name_of(path);
    if bytes.trim_ascii().is_empty() {
        return Err(content(&name, "is empty"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        content(&name, format!("not UTF-8 text from byte {place} on"))
    })?;
    Ok(TextFile {
        name,
        text,
        readable_by_others,
    })
}

/// Reads the bytes of a file as they are; `-` is stdin.
///
/// # Errors
/// A [`CommandError`] if it cannot be read or is larger than [`MAX_BYTES`].
pub(in crate::cli) fn read_bytes(path: &Path) -> Result<(Vec<u8>, Option<u32>), CommandError> {
    refuse_literal(path)?;
    let failed = |error| CommandError::Input {
        path: path.to_owned(),
        error,
    };
    let limit = MAX_BYTES.saturating_add(1);
    let mut bytes = Vec::new();
    let others = if path == "-" {
        let stdin = io::stdin().lock();
        stdin.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        None
    } else {
        let file = File::open(path).map_err(failed)?;
        let others = readable_by_others(&file.metadata().map_err(failed)?);
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        others
    };
    if bytes.len() as u64 > MAX_BYTES {
        let problem = format!("larger than {MAX_BYTES} bytes, the most that is read");
        return Err(content(&name_of(path), problem));
    }
    Ok((bytes, others))
}

/// Refuses a key or a token in place of the name of a file, without repeating it. Other processes can see the
/// command line, and shells remember it.
pub(in crate::cli) fn refuse_literal(path: &Path) -> Result<(), CommandError> {
    let text = path.as_os_str().as_encoded_bytes();
    let starts = [&b"{"[..], b"-----BEGIN", b"eyJ", b"Bearer "];
    if starts.iter().any(|start| text.starts_with(start)) && !path.exists() {
        return Err(CommandError::Usage(
            "a key or a token is not taken from the command line, which others can see: give the name \
             of a file, or `-` for stdin"
                .to_owned(),
        ));
    }
    Ok(())
}

impl TextFile {
    /// Warns on stderr if others may read this file, which holds a secret.
    pub(in crate::cli) fn warn_if_readable_by_others(&self) {
        if let Some(mode) = self.readable_by_others {
            warn_of_mode(&self.name, mode);
        }
    }
}

/// Warns on stderr that others may read a file that holds a secret.
pub(in crate::cli) fn warn_of_mode(name: &str, mode: u32) {
    warn(format!(
        "{name}: others may read this secret (mode {mode:04o}); run: chmod 600 {name}"
    ));
}

/// Prints a warning on stderr.
pub(in crate::cli) fn warn(warning: impl AsRef<str>) {
    eprintln!("edge-claims: warning: {}", warning.as_ref());
}

/// An error in the content of a file.
pub(in crate::cli) fn content(name: &str, problem: impl Into<String>) -> CommandError {
    CommandError::Content {
        name: name.to_owned(),
        problem: problem.into(),
    }
}

/// The name of a file for messages.
pub(in crate::cli) fn name_of(path: &Path) -> String {
    if path == "-" {
        "<stdin>".to_owned()
    } else {
        printable(&path.display().to_string())
    }
}

/// Refuses `-` more than once: the second reader would find an empty stdin.
///
/// # Errors
/// [`CommandError::Usage`]
pub(in crate::cli) fn check_stdin_once<'a>(
    paths: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<(), CommandError> {
    if paths.into_iter().filter(|path| *path == "-").count() > 1 {
        let problem = "only one file can be `-`, stdin";
        return Err(CommandError::Usage(problem.to_owned()));
    }
    Ok(())
}

/// The permission bits of a file, if accounts other than its owner's may read it. Pipes have no lasting
/// content, so that their mode does not matter.
#[cfg(unix)]
fn readable_by_others(metadata: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o7777;
    (metadata.is_file() && mode & 0o044 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn readable_by_others(_metadata: &fs::Metadata) -> Option<u32> {
    None
}

/// Writes a file that only its owner can read and write (mode 0600). It appears complete or not at all.
///
/// # Errors
/// [`CommandError::Create`], also if the file exists and `replace` is not set.
pub(super) fn write_secret(path: &Path, text: &[u8], replace: bool) -> Result<(), CommandError> {
    let failed = |error| CommandError::Create {
        path: path.to_owned(),
        error,
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    // Temporary files have mode 0600. A rename replaces a symbolic link and does not follow it.
    let mut file = NamedTempFile::new_in(folder).map_err(|error| CommandError::Create {
        path: folder.to_owned(),
        error: error.kind().into(),
    })?;
    file.write_all(text).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    let written = if replace {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    match written {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(error) => Err(failed(error.error)),
    }
}

/// Refuses a file that exists, before another one is written.
///
/// # Errors
/// [`CommandError::Content`]
pub(super) fn refuse_existing(path: &Path) -> Result<(), CommandError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(exists(path)),
        Err(_) => Ok(()),
    }
}

fn exists(path: &Path) -> CommandError {
    let problem = "exists already; choose another name, or replace it with --force";
    content(&name_of(path), problem)
}
