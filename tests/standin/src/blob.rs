//! Contents of files: kept, made from a seed, or only remembered as a size and a hash.

use std::fmt;
use std::io::{self, Write};
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

use crate::content_hash::BlockHasher;

/// How much is made from a seed at a time.
const SEEDED_BLOCK: usize = 64 * 1024;

/// The bytes of one revision.
#[derive(Clone, Debug)]
pub(crate) enum Blob {
    Kept(Arc<Vec<u8>>),
    Seeded(Seeded),
    /// Uploaded while contents were not kept.
    Forgotten(u64),
}

impl Blob {
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Kept(bytes) => bytes.len() as u64,
            Self::Seeded(seeded) => seeded.size,
            Self::Forgotten(size) => *size,
        }
    }

    /// All bytes.
    ///
    /// # Panics
    /// If they were not kept.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let size = usize::try_from(self.size()).unwrap_or(usize::MAX);
        match self {
            Self::Forgotten(_) => panic!("contents were not kept"),
            Self::Kept(_) | Self::Seeded(_) => Body::part(self.clone(), 0..size).to_vec(),
        }
    }
}

/// Random-looking bytes that are made when they are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeded {
    pub(crate) seed: u64,
    pub(crate) size: u64,
}

impl Seeded {
    /// The content hash, without ever having all bytes at hand.
    pub(crate) fn hash(self) -> String {
        let mut hasher = BlockHasher::default();
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        self.each(0..size, |piece| {
            hasher.update(piece);
            Ok(())
        })
        .unwrap_or_default();
        hasher.finish()
    }

    /// Hands out a range in pieces.
    fn each(
        self,
        range: Range<usize>,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut block = vec![0; SEEDED_BLOCK];
        let mut at = range.start;
        while at < range.end {
            let (number, skipped) = (at / SEEDED_BLOCK, at % SEEDED_BLOCK);
            self.fill(number as u64, &mut block);
            let end = (skipped + range.end - at).min(SEEDED_BLOCK);
            take(&block[skipped..end])?;
            at += end - skipped;
        }
        Ok(())
    }

    /// One block (splitmix64, started anew for each).
    fn fill(self, number: u64, block: &mut [u8]) {
        let mut state = self.seed ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93);
        for word in block.chunks_exact_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            word.copy_from_slice(&(mixed ^ mixed >> 31).to_le_bytes());
        }
    }
}

/// The bytes of a file that was put with [`Standin::put_seeded`](crate::Standin::put_seeded).
#[must_use]
pub fn seeded_bytes(size: u64, seed: u64) -> Vec<u8> {
    Blob::Seeded(Seeded { seed, size }).to_vec()
}

/// The bytes of an answer: contents and the part of them that is meant.
#[derive(Clone)]
pub struct Body {
    blob: Blob,
    range: Range<usize>,
    made: OnceLock<Vec<u8>>,
}

impl Body {
    pub(crate) fn part(blob: Blob, range: Range<usize>) -> Self {
        let made = OnceLock::new();
        Self { blob, range, made }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// A copy of the bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self[..].to_vec()
    }

    /// Writes the first bytes, without having all of them at hand.
    pub(crate) fn write_to(&self, out: &mut impl Write, count: usize) -> io::Result<()> {
        match &self.blob {
            Blob::Seeded(seeded) => {
                let range = self.range.start..self.range.start + count;
                seeded.each(range, |piece| out.write_all(piece))
            }
            Blob::Kept(_) | Blob::Forgotten(_) => out.write_all(&self[..count]),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self::part(Blob::Kept(Arc::new(bytes)), range)
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.blob {
            Blob::Kept(bytes) => &bytes[self.range.clone()],
            Blob::Seeded(seeded) => self.made.get_or_init(|| {
                let mut bytes = Vec::with_capacity(self.len());
                let gather = |piece: &[u8]| {
                    bytes.extend_from_slice(piece);
                    Ok(())
                };
                seeded.each(self.range.clone(), gather).unwrap_or_default();
                bytes
            }),
            // Never given to anybody: a download of it is refused.
            Blob::Forgotten(_) => &[],
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len() > 4096 {
            return write!(formatter, "{} bytes", self.len());
        }
        write!(formatter, "{:?}", String::from_utf8_lossy(self))
    }
}

/// The bytes a call carries, and their hash if it was made while they came in.
pub(crate) struct Payload {
    pub(crate) bytes: Vec<u8>,
    pub(crate) hasher: BlockHasher,
}

impl Payload {
    /// What stays of them.
    pub(crate) fn into_blob(self, keep: bool) -> Blob {
        if keep {
            Blob::Kept(Arc::new(self.bytes))
        } else {
            Blob::Forgotten(self.bytes.len() as u64)
        }
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        let mut hasher = BlockHasher::default();
        hasher.update(&bytes);
        Self { bytes, hasher }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_bytes_are_the_same_however_they_are_cut() {
        let seeded = Seeded {
            seed: 7,
            size: 200_000,
        };
        let whole = Blob::Seeded(seeded).to_vec();
        assert_eq!(seeded.hash(), crate::content_hash(&whole));
        let part = Body::part(Blob::Seeded(seeded), 65_530..150_001);
        assert_eq!(&part[..], &whole[65_530..150_001]);
        let mut written = Vec::new();
        part.write_to(&mut written, 70_000).unwrap();
        assert_eq!(written, &whole[65_530..135_530]);
        assert_eq!(part.len(), 84_471);
        assert_ne!(whole[..100], whole[65_536..65_636]);
    }
}
