//! Entries partitioned into buckets by a hash of their ID, in memory or, if there are many, in temporary
//! files.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// The number of buckets: large enough for one bucket of a log of many gigabytes to fit into memory, and
/// small enough to keep all files open.
const BUCKETS: usize = 256;
/// The size of a bucket's buffer, in bytes, before it is written to its file.
const BUFFER: usize = 8 * 1024;

/// Collects entries, each an ID and the number of its outcome.
pub(super) struct Spill {
    folder: PathBuf,
    // Randomly seeded, so that nobody can choose IDs that all fall into one bucket.
    hasher: RandomState,
    buckets: Vec<Bucket>,
}

/// The entries of some IDs. All entries of an ID are in the same bucket, in the order of their addition.
#[derive(Default)]
pub(super) struct Bucket {
    buffer: Vec<u8>,
    file: Option<File>,
}

impl Spill {
    /// `folder` is for the temporary files, which have no names and are deleted when the process ends.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            hasher: RandomState::new(),
            buckets: std::iter::repeat_with(Bucket::default)
                .take(BUCKETS)
                .collect(),
        }
    }

    /// Adds an entry. An ID has at most 65,535 bytes.
    pub(super) fn push(&mut self, id: &str, entry: u32) -> io::Result<()> {
        let hash = usize::try_from(self.hasher.hash_one(id)).unwrap_or(usize::MAX);
        match self.buckets.get_mut(hash % BUCKETS) {
            Some(bucket) => bucket.push(id, entry, &self.folder),
            None => Ok(()),
        }
    }

    pub(super) fn finish(self) -> impl Iterator<Item = Bucket> {
        self.buckets.into_iter()
    }
}

impl Bucket {
    fn push(&mut self, id: &str, entry: u32, folder: &Path) -> io::Result<()> {
        let length = u16::try_from(id.len()).map_err(io::Error::other)?;
        self.buffer.extend_from_slice(&entry.to_le_bytes());
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(id.as_bytes());
        if self.buffer.len() < BUFFER {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(folder)?),
        };
        file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Reads all entries.
    pub(super) fn read(mut self, mut each: impl FnMut(&str, u32)) -> io::Result<()> {
        if let Some(mut file) = self.file.take() {
            file.rewind()?;
            read_entries(BufReader::with_capacity(64 * 1024, file), &mut each)?;
        }
        read_entries(self.buffer.as_slice(), &mut each)
    }
}

fn read_entries(mut input: impl BufRead, each: &mut impl FnMut(&str, u32)) -> io::Result<()> {
    let mut id = Vec::new();
    while !input.fill_buf()?.is_empty() {
        let (mut entry, mut length) = ([0; 4], [0; 2]);
        input.read_exact(&mut entry)?;
        input.read_exact(&mut length)?;
        id.resize(usize::from(u16::from_le_bytes(length)), 0);
        input.read_exact(&mut id)?;
        let id = std::str::from_utf8(&id).map_err(io::Error::other)?;
        each(id, u32::from_le_bytes(entry));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn all_entries_of_an_id_are_in_one_bucket_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::new(folder.path());
        // About 78 IDs per bucket, of which 24 fill its buffer: practically every bucket gets a file.
        let ids = 20_000;
        for entry in 0..20 {
            for id in 0..ids {
                spill.push(&format!("request-{id}"), entry).unwrap();
            }
        }
        let mut seen: BTreeMap<String, (usize, Vec<u32>)> = BTreeMap::new();
        for (number, bucket) in spill.finish().enumerate() {
            assert!(bucket.file.is_some(), "the test is large enough for files");
            let read = bucket.read(|id, entry| {
                let (bucket, entries) = seen.entry(id.to_owned()).or_insert((number, Vec::new()));
                assert_eq!(*bucket, number);
                entries.push(entry);
            });
            read.unwrap();
        }
        assert_eq!(seen.len(), ids);
        let order: Vec<u32> = (0..20).collect();
        assert!(seen.values().all(|(_, entries)| *entries == order));
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "the files have no name");
    }
}
