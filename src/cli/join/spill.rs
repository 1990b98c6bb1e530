//! Entries partitioned into buckets by a hash of their ID, in memory or, if there are many, in one temporary file.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::times::Times;

/// The number of buckets: large enough for one bucket of logs of many gigabytes to fit into memory.
pub(super) const BUCKETS: usize = 256;
/// The size of a block, in bytes: a bucket's buffer is written to the file when it is larger.
const BLOCK: usize = 8 * 1024;

/// What is kept of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The index of its outcome.
    pub outcome: u32,
    pub times: Times,
}

/// An entry in its encoded form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoded<'a>(&'a [u8]);

/// Collects the entries of one log.
pub(super) struct Spill {
    folder: PathBuf,
    // Randomly seeded, so that nobody can choose IDs that all fall into one bucket.
    hasher: RandomState,
    buckets: Vec<Bucket>,
    /// The blocks of all buckets: one file for each log, so that many logs need few open files.
    file: Option<File>,
    /// The file's length in bytes.
    written: u64,
}

/// The entries of some IDs. All entries of an ID are in the same bucket, in the order of their addition.
#[derive(Default)]
struct Bucket {
    buffer: Vec<u8>,
    /// The start and the length of each of its blocks in the file.
    blocks: Vec<(u64, usize)>,
}

/// The bytes of a bucket.
pub(super) struct Loaded(Vec<u8>);

impl Spill {
    /// `folder` is for the temporary files, which have no names and are deleted when the process ends. Two
    /// spills with the same hasher have each ID in buckets of the same number.
    pub(super) fn new(folder: &Path, hasher: RandomState) -> Self {
        Self {
            folder: folder.to_owned(),
            hasher,
            buckets: std::iter::repeat_with(Bucket::default)
                .take(BUCKETS)
                .collect(),
            file: None,
            written: 0,
        }
    }

    /// Adds an entry. An ID has at most 65,535 bytes.
    pub(super) fn push(&mut self, id: &str, entry: &Entry) -> io::Result<()> {
        let hash = usize::try_from(self.hasher.hash_one(id)).unwrap_or(usize::MAX);
        let Some(bucket) = self.buckets.get_mut(hash % BUCKETS) else {
            return Ok(());
        };
        bucket.push(id, entry)?;
        if bucket.buffer.len() < BLOCK {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.folder)?),
        };
        file.write_all(&bucket.buffer)?;
        let length = bucket.buffer.len();
        bucket.blocks.push((self.written, length));
        bucket.buffer.clear();
        let length = u64::try_from(length).map_err(io::Error::other)?;
        self.written = self.written.saturating_add(length);
        Ok(())
    }

    /// Reads all entries of a bucket into memory, and gives up its buffer. `number` is below [`BUCKETS`].
    pub(super) fn load(&mut self, number: usize) -> io::Result<Loaded> {
        let bucket = self.buckets.get_mut(number).map(std::mem::take);
        let Bucket { buffer, blocks } = bucket.unwrap_or_default();
        let Some(mut file) = self.file.as_ref().filter(|_| !blocks.is_empty()) else {
            return Ok(Loaded(buffer));
        };
        let in_file = blocks.iter().map(|(_, length)| *length);
        let total = in_file.fold(buffer.len(), usize::saturating_add);
        let mut bytes = Vec::new();
        bytes.reserve_exact(total);
        for (start, block) in blocks {
            file.seek(SeekFrom::Start(start))?;
            let length = u64::try_from(block).map_err(io::Error::other)?;
            if (&mut file).take(length).read_to_end(&mut bytes)? != block {
                return Err(cut_short());
            }
        }
        bytes.extend_from_slice(&buffer);
        Ok(Loaded(bytes))
    }
}

impl Bucket {
    /// An entry is: the ID's length (2 bytes), the ID, the length of the rest (1 byte), and the rest, which is
    /// the outcome, a bit mask of the known times, and these times.
    fn push(&mut self, id: &str, entry: &Entry) -> io::Result<()> {
        let id_length = u16::try_from(id.len()).map_err(io::Error::other)?;
        let mut rest = [0; 128];
        let mut out = io::Cursor::new(rest.as_mut_slice());
        write_number(&mut out, entry.outcome.into())?;
        let times = entry.times.to_array();
        let mask = times
            .iter()
            .rev()
            .fold(0, |mask, time| mask << 1 | u8::from(time.is_some()));
        out.write_all(&[mask])?;
        for time in times.into_iter().flatten() {
            write_number(&mut out, time)?;
        }
        let length = u8::try_from(out.position()).map_err(io::Error::other)?;
        let rest = rest.get(..usize::from(length)).unwrap_or_default();
        self.buffer.extend_from_slice(&id_length.to_le_bytes());
        self.buffer.extend_from_slice(id.as_bytes());
        self.buffer.push(length);
        self.buffer.extend_from_slice(rest);
        Ok(())
    }
}

impl Loaded {
    /// Each entry with the bytes of its ID.
    pub(super) fn entries(&self) -> impl Iterator<Item = io::Result<(&[u8], Encoded<'_>)>> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let entry = next_entry(&mut rest).ok_or_else(cut_short);
            if entry.is_err() {
                rest = &[];
            }
            Some(entry)
        })
    }
}

fn next_entry<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Encoded<'a>)> {
    let length = u16::from_le_bytes(*rest.split_off(..2)?.first_chunk()?);
    let id = rest.split_off(..usize::from(length))?;
    let length = *rest.split_off_first()?;
    Some((id, Encoded(rest.split_off(..usize::from(length))?)))
}

impl Encoded<'_> {
    /// The index of the outcome.
    pub(super) fn outcome(self) -> Option<u32> {
        read_number(&mut &*self.0)?.try_into().ok()
    }

    pub(super) fn decode(self) -> io::Result<Entry> {
        let mut bytes = self.0;
        let mut decode = || {
            let outcome = read_number(&mut bytes)?.try_into().ok()?;
            let mask = *bytes.split_off_first()?;
            let mut times = [None; Times::COUNT];
            for (bit, time) in times.iter_mut().enumerate() {
                if mask & (1 << bit) != 0 {
                    *time = Some(read_number(&mut bytes)?);
                }
            }
            Some(Entry {
                outcome,
                times: Times::from_array(times),
            })
        };
        decode().ok_or_else(cut_short)
    }
}

/// Someone else shortened a temporary file.
fn cut_short() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

/// Writes a number, seven bits in a byte, the lowest first (LEB128).
fn write_number(out: &mut impl io::Write, mut number: u64) -> io::Result<()> {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            return out.write_all(&[low]);
        }
        out.write_all(&[low | 0x80])?;
    }
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = *bytes.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn all_entries_of_an_id_are_in_one_bucket_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::new(folder.path(), RandomState::new());
        // About 78 IDs per bucket, of which 24 fill its buffer: practically every bucket gets a file.
        let ids = 20_000;
        for outcome in 0..20 {
            for id in 0..ids {
                let times = Times::default();
                let entry = Entry { outcome, times };
                spill.push(&format!("request-{id}"), &entry).unwrap();
            }
        }
        let mut seen: BTreeMap<Vec<u8>, (usize, Vec<u32>)> = BTreeMap::new();
        for number in 0..BUCKETS {
            let blocks = spill.buckets[number].blocks.len();
            assert!(blocks > 0, "the test is large enough for the file");
            for entry in spill.load(number).unwrap().entries() {
                let (id, entry) = entry.unwrap();
                let (bucket, outcomes) = seen.entry(id.to_vec()).or_insert((number, Vec::new()));
                assert_eq!(*bucket, number);
                outcomes.push(entry.decode().unwrap().outcome);
            }
        }
        assert_eq!(seen.len(), ids);
        let order: Vec<u32> = (0..20).collect();
        assert!(seen.values().all(|(_, outcomes)| *outcomes == order));
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "the file has no name");
    }

    #[test]
    fn what_is_kept_of_a_line_is_read_as_it_was_written() {
        let times = [
            Times::default(),
            Times::from_array([Some(u64::MAX); Times::COUNT]),
            Times {
                total: Some(0),
                wait: Some(127),
                upstream: Some(128),
                ..Times::default()
            },
        ];
        let mut bucket = Bucket::default();
        for times in times {
            let outcome = u32::MAX;
            let id = "é".repeat(128);
            let entry = Entry { outcome, times };
            bucket.push(&id, &entry).unwrap();
        }
        let loaded = Loaded(bucket.buffer);
        let entries = loaded.entries().map(|entry| entry.unwrap());
        let read: Vec<_> = entries
            .map(|(id, entry)| (id.len(), entry.decode().unwrap().times))
            .collect();
        assert_eq!(read, times.map(|times| (256, times)));
    }

    #[test]
    fn a_file_that_was_cut_short_is_an_error() {
        let mut bucket = Bucket::default();
        let entry = Entry {
            outcome: 7,
            times: Times::default(),
        };
        bucket.push("request", &entry).unwrap();
        let whole = bucket.buffer;
        for length in 1..whole.len() {
            let cut = Loaded(whole.get(..length).unwrap().to_vec());
            assert!(cut.entries().all(|entry| entry.is_err()), "{length}");
        }
    }
}
