//! Random bytes, requested in blocks to save host calls.

use super::host::Host;

/// The size of a block in bytes: enough for 64 correlation IDs.
const BLOCK: usize = 640;

#[derive(Debug, Default)]
pub(super) struct RandomPool {
    block: Vec<u8>,
    fallback: u64,
    warned: bool,
}

impl RandomPool {
    /// Ten random bytes. If the host has none, a counter instead: IDs stay unique, and no decision depends
    /// on them.
    pub(super) fn ten(&mut self, host: &impl Host) -> [u8; 10] {
        if self.block.len() < 10 {
            self.block.resize(BLOCK, 0);
            if !host.fill_random(&mut self.block) {
                self.block.clear();
                if !std::mem::replace(&mut self.warned, true) {
                    log::warn!(
                        "edge-claims: the host has no random bytes: correlation IDs are numbered and \
                         can be guessed, and sampling is not random (logged once)"
                    );
                }
            }
        }
        let rest = self.block.len().checked_sub(10);
        let mut ten = [0; 10];
        match rest.and_then(|rest| Some((rest, self.block.get(rest..)?))) {
            Some((rest, bytes)) => {
                ten.copy_from_slice(bytes);
                self.block.truncate(rest);
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

    /// A random seed for the caches' hash.
    pub(super) fn seed(&mut self, host: &impl Host) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.ten(host);
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}
