//! Why a subcommand fails.

use std::io;
use std::path::PathBuf;

/// Why a subcommand cannot answer. The exit code is 2.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// Arguments that contradict each other.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be opened or read.
    #[error("{}: {error}", path.display())]
    Input {
        /// The file, `-` for stdin.
        path: PathBuf,
        /// The I/O error.
        error: io::Error,
    },
    /// A file was read, but its content cannot be used.
    #[error("{name}: {problem}")]
    Content {
        /// The file, and the place in it.
        name: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A file cannot be created or written.
    #[error("{}: {error}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        error: io::Error,
    },
    /// The temporary files cannot be written or read.
    #[error("temporary files: {0} (choose another folder with --temp-dir)")]
    Temporary(io::Error),
    /// The result cannot be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}
