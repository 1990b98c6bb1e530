//! Random bytes in blocks, so that a generated ID rarely costs a host call.

/// Bytes drawn at a time: enough for 64 correlation IDs.
const BLOCK: usize = 640;

/// Random bytes of the host, kept a block at a time.
#[derive(Debug, Default)]
pub struct Entropy {
    block: Vec<u8>,
    fallback: u64,
}

impl Entropy {
    /// Ten random bytes, each handed out once. Where the host has none to give, a counter: an ID must
    /// then still differ from the last one, and no decision depends on it.
    pub fn ten(&mut self) -> [u8; 10] {
        if self.block.len() < 10 {
            self.block.resize(BLOCK, 0);
            if getrandom::fill(&mut self.block).is_err() {
                self.block.clear();
            }
        }
        let at = self.block.len().checked_sub(10);
        let mut ten = [0; 10];
        match at.and_then(|at| Some((at, self.block.get(at..)?))) {
            Some((at, bytes)) => {
                ten.copy_from_slice(bytes);
                self.block.truncate(at);
            }
            None => {
                self.fallback = self.fallback.wrapping_add(1);
                if let Some(tail) = ten.last_chunk_mut::<8>() {
                    *tail = self.fallback.to_be_bytes();
                }
            }
        }
        ten
    }
}
