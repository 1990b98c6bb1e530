//! Writes new files into a folder: all of them, or none.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::CommandError;

/// A file to write.
#[derive(Debug)]
pub(super) struct File {
    /// Its name in the folder.
    pub(super) name: &'static str,
    /// Its content.
    pub(super) content: Vec<u8>,
    /// Whether only its owner may read it.
    pub(super) is_secret: bool,
}

/// Writes the files into the folder, which is made if it is missing.
///
/// # Errors
/// [`CommandError::Content`] if one of the files exists; [`CommandError::Create`] if one cannot be written. What
/// was written before is removed.
pub(super) fn write(folder: &Path, files: &[File]) -> Result<(), CommandError> {
    for file in files {
        let path = folder.join(file.name);
        // A link that leads nowhere exists, too.
        if path.symlink_metadata().is_ok() {
            return Err(exists(&path));
        }
    }
    let is_new = !folder.exists();
    fs::create_dir_all(folder).map_err(|error| CommandError::Create {
        path: folder.to_owned(),
        error,
    })?;
    let mut written: Vec<PathBuf> = Vec::new();
    for file in files {
        let path = folder.join(file.name);
        if let Err((error, is_ours)) = create(&path, file) {
            if is_ours {
                written.push(path.clone());
            }
            for path in &written {
                // The error that is reported is the first one.
                let _ = fs::remove_file(path);
            }
            if is_new {
                let _ = fs::remove_dir(folder);
            }
            return Err(if error.kind() == io::ErrorKind::AlreadyExists {
                exists(&path)
            } else {
                CommandError::Create { path, error }
            });
        }
        written.push(path);
    }
    Ok(())
}

/// Creates a file. An error says whether the file was created.
fn create(path: &Path, file: &File) -> Result<(), (io::Error, bool)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if file.is_secret {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut created = options.open(path).map_err(|error| (error, false))?;
    created
        .write_all(&file.content)
        .map_err(|error| (error, true))
}

fn exists(path: &Path) -> CommandError {
    CommandError::Content {
        name: path.display().to_string(),
        problem: "exists already, and nothing was written: choose another folder with --out, or remove the file"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &'static str) -> File {
        File {
            name,
            content: name.as_bytes().to_vec(),
            is_secret: false,
        }
    }

    #[test]
    fn all_files_are_written_into_a_new_folder() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("a/b");
        write(&folder, &[file("one"), file("two")]).unwrap();
        for name in ["one", "two"] {
            assert_eq!(fs::read(folder.join(name)).unwrap(), name.as_bytes());
        }
    }

    #[cfg(unix)]
    #[test]
    fn others_cannot_read_a_secret() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mut secret = file("secret");
        secret.is_secret = true;
        write(folder.path(), &[secret]).unwrap();
        let metadata = fs::metadata(folder.path().join("secret")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_is_left_behind() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        fs::write(folder.join("two"), "mine").unwrap();
        let error = write(folder, &[file("one"), file("two")]).unwrap_err();
        assert!(error.to_string().contains("two: exists already"), "{error}");
        assert!(!folder.join("one").exists());
        assert_eq!(fs::read(folder.join("two")).unwrap(), b"mine");
        // The second file cannot be created: the first one is removed.
        let error = write(folder, &[file("one"), file("no/such/folder")]).unwrap_err();
        assert!(matches!(error, CommandError::Create { .. }), "{error}");
        assert!(!folder.join("one").exists());
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_an_error() {
        let temporary = tempfile::tempdir().unwrap();
        let place = temporary.path().join("place");
        fs::write(&place, "").unwrap();
        assert!(write(&place, &[file("one")]).is_err());
    }
}
