//! Entries spread over buckets by a hash of their ID, in memory while they are few, else in temporary
//! files.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::event::{Passage, Side};

/// Bits of the hash that one level of buckets uses up.
const LEVEL_BITS: u32 = 6;
const BUCKETS: usize = 1 << LEVEL_BITS;
/// How often a bucket can be spread again: 64^5 buckets are enough for any disk.
const LEVELS: u32 = 5;
/// What a bucket holds in memory before it goes to its file.
const BUFFER: usize = 16 * 1024;

/// What is kept of a line, beside its ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub side: Side,
    pub passage: Passage,
    /// Where and how the request ended, by number: see `summary::Labels`.
    pub label: u32,
}

/// Takes entries and spreads them.
pub(super) struct Spill {
    folder: PathBuf,
    level: u32,
    // Seeded, so that nobody can choose IDs that all fall into one bucket.
    hasher: RandomState,
    buckets: Vec<Bucket>,
}

/// The entries of some IDs: all entries of an ID are in one bucket, in the order they came.
pub(super) struct Bucket {
    level: u32,
    hasher: RandomState,
    buffer: Vec<u8>,
    file: Option<File>,
    in_file: u64,
}

impl Spill {
    /// `folder`: for the temporary files. They have no name there, and go away with the process.
    pub(super) fn new(folder: &Path) -> Self {
        Self::at(0, RandomState::new(), folder)
    }

    /// Buckets to spread a bucket's entries over.
    pub(super) fn below(bucket: &Bucket, folder: &Path) -> Self {
        Self::at(
            bucket.level.saturating_add(1),
            bucket.hasher.clone(),
            folder,
        )
    }

    fn at(level: u32, hasher: RandomState, folder: &Path) -> Self {
        let bucket = || Bucket {
            level,
            hasher: hasher.clone(),
            buffer: Vec::new(),
            file: None,
            in_file: 0,
        };
        Self {
            folder: folder.to_owned(),
            level,
            buckets: std::iter::repeat_with(bucket).take(BUCKETS).collect(),
            hasher,
        }
    }

    /// Adds an entry. An ID has at most 65,535 bytes.
    pub(super) fn push(&mut self, id: &str, entry: Entry) -> io::Result<()> {
        let hash = self.hasher.hash_one(id) >> self.level.saturating_mul(LEVEL_BITS);
        let index = usize::try_from(hash).unwrap_or(usize::MAX) % BUCKETS;
        match self.buckets.get_mut(index) {
            Some(bucket) => bucket.push(id, entry, &self.folder),
            None => Ok(()),
        }
    }

    /// The buckets that have entries.
    pub(super) fn finish(self) -> io::Result<impl Iterator<Item = Bucket>> {
        Ok(self.buckets.into_iter().filter(|bucket| bucket.len() > 0))
    }
}

impl Bucket {
    /// How many bytes its entries take.
    pub(super) fn len(&self) -> u64 {
        self.in_file
            .saturating_add(u64::try_from(self.buffer.len()).unwrap_or(u64::MAX))
    }

    /// Whether spreading it again could make it smaller.
    pub(super) const fn can_spread(&self) -> bool {
        self.level.saturating_add(1) < LEVELS
    }

    fn push(&mut self, id: &str, entry: Entry, folder: &Path) -> io::Result<()> {
        let length = u16::try_from(id.len()).map_err(io::Error::other)?;
        self.buffer.push(entry.to_byte());
        self.buffer.extend_from_slice(&entry.label.to_le_bytes());
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
        self.in_file = self.len();
        self.buffer.clear();
        Ok(())
    }

    /// Reads all entries.
    pub(super) fn read(
        mut self,
        mut each: impl FnMut(&str, Entry) -> io::Result<()>,
    ) -> io::Result<()> {
        if let Some(mut file) = self.file.take() {
            file.seek(SeekFrom::Start(0))?;
            read_entries(&mut BufReader::with_capacity(64 * 1024, file), &mut each)?;
        }
        read_entries(&mut self.buffer.as_slice(), &mut each)
    }
}

fn read_entries(
    input: &mut impl io::BufRead,
    each: &mut impl FnMut(&str, Entry) -> io::Result<()>,
) -> io::Result<()> {
    let mut id = Vec::new();
    while !input.fill_buf()?.is_empty() {
        let ([kind], mut label, mut length) = ([0; 1], [0; 4], [0; 2]);
        let mut kind = [kind];
        input.read_exact(&mut kind)?;
        input.read_exact(&mut label)?;
        input.read_exact(&mut length)?;
        id.resize(usize::from(u16::from_le_bytes(length)), 0);
        input.read_exact(&mut id)?;
        let text = std::str::from_utf8(&id).map_err(io::Error::other)?;
        each(text, Entry::from_bytes(kind, label))?;
    }
    Ok(())
}

impl Entry {
    fn to_byte(self) -> u8 {
        let side = u8::from(self.side == Side::Mesh);
        let passage = match self.passage {
            Passage::Forwarded => 0,
            Passage::Ended => 2,
            Passage::Unknown => 4,
        };
        side | passage
    }

    fn from_bytes([kind]: [u8; 1], label: [u8; 4]) -> Self {
        Self {
            side: if kind & 1 == 0 {
                Side::Edge
            } else {
                Side::Mesh
            },
            passage: match kind & 6 {
                0 => Passage::Forwarded,
                2 => Passage::Ended,
                _ => Passage::Unknown,
            },
            label: u32::from_le_bytes(label),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn entry(side: Side, label: u32) -> Entry {
        Entry {
            side,
            passage: Passage::Unknown,
            label,
        }
    }

    #[test]
    fn every_entry_comes_back_in_order_and_each_id_from_one_bucket() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::new(folder.path());
        // Some 156 IDs a bucket, of which 44 fill its buffer: by chance, no bucket stays below that.
        let ids = 10_000;
        for label in 0..20 {
            for id in 0..ids {
                spill
                    .push(&format!("request-{id}"), entry(Side::Edge, label))
                    .unwrap();
            }
        }
        let mut seen: BTreeMap<String, (usize, Vec<u32>)> = BTreeMap::new();
        for (number, bucket) in spill.finish().unwrap().enumerate() {
            assert!(bucket.in_file > 0, "the test is large enough for files");
            let read = bucket.read(|id, entry| {
                let (home, labels) = seen.entry(id.to_owned()).or_insert((number, Vec::new()));
                assert_eq!(*home, number);
                labels.push(entry.label);
                Ok(())
            });
            read.unwrap();
        }
        assert_eq!(seen.len(), ids);
        let order: Vec<u32> = (0..20).collect();
        assert!(seen.values().all(|(_, labels)| *labels == order));
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "the files have no name");
    }

    #[test]
    fn a_bucket_is_spread_further_below() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::new(folder.path());
        for id in 0..2_000 {
            spill.push(&id.to_string(), entry(Side::Mesh, 1)).unwrap();
        }
        let bucket = spill.finish().unwrap().next().unwrap();
        let (level, whole) = (bucket.level, bucket.len());
        let mut below = Spill::below(&bucket, folder.path());
        bucket.read(|id, entry| below.push(id, entry)).unwrap();
        let parts: Vec<Bucket> = below.finish().unwrap().collect();
        assert!(parts.len() > 5);
        assert!(parts.iter().all(|part| part.level == level + 1));
        assert_eq!(parts.iter().map(Bucket::len).sum::<u64>(), whole);
    }

    #[test]
    fn an_entry_survives_its_bytes() {
        for side in Side::BOTH {
            for passage in [Passage::Forwarded, Passage::Ended, Passage::Unknown] {
                let entry = Entry {
                    side,
                    passage,
                    label: 0x0102_0304,
                };
                assert_eq!(
                    Entry::from_bytes([entry.to_byte()], entry.label.to_le_bytes()),
                    entry
                );
            }
        }
    }
}
