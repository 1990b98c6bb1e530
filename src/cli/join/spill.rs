//! Entries partitioned into buckets by a hash of their ID: in memory while they are few, else in temporary
//! files.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// Enough that a bucket of a log of many gigabytes fits into memory, and few enough to be open at once.
const BUCKETS: usize = 256;
/// What a bucket holds in memory before it is written to its file, in bytes.
const BUFFER: usize = 8 * 1024;

/// Collects entries: an ID, and a number that says what its line says.
pub(super) struct Spill {
    folder: PathBuf,
    // Seeded, so that nobody can choose IDs that all fall into one bucket.
    hasher: RandomState,
    buckets: Vec<Bucket>,
}

/// The entries of some IDs. All entries of an ID are in one bucket, in the order in which they came.
#[derive(Default)]
pub(super) struct Bucket {
    buffer: Vec<u8>,
    file: Option<File>,
}

impl Spill {
    /// `folder`: for the temporary files. They have no name there, and are deleted when the process ends.
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

    /// The buckets.
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
    fn entries_come_back_in_order_and_those_of_an_id_from_one_bucket() {
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
