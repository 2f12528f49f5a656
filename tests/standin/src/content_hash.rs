//! Dropbox's content hash: SHA-256 over the SHA-256 digests of each 4 MiB block.

use sha2::{Digest, Sha256};

use crate::encoding::hex;

/// The size of one hashed block, and the unit of concurrent upload sessions.
pub const BLOCK: usize = 4 * 1024 * 1024;

/// The `content_hash` of some bytes, 64 lower-case hexadecimal digits.
#[must_use]
pub fn content_hash(bytes: &[u8]) -> String {
    let mut hasher = BlockHasher::default();
    hasher.update(bytes);
    hasher.finish()
}

/// The content hash of bytes that arrive piece by piece.
#[derive(Clone, Default)]
pub(crate) struct BlockHasher {
    digests: Vec<[u8; 32]>,
    block: Sha256,
    filled: usize,
}

impl BlockHasher {
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.block.update(piece);
            self.filled += piece.len();
            if self.filled == BLOCK {
                let block = std::mem::take(&mut self.block);
                self.digests.push(block.finalize().into());
                self.filled = 0;
            }
            bytes = rest;
        }
    }

    /// Continues with bytes that were hashed elsewhere; only known bytes if this is in the
    /// middle of a block.
    pub(crate) fn append(&mut self, bytes: &[u8], hashed: BlockHasher) {
        if self.filled > 0 {
            return self.update(bytes);
        }
        self.digests.extend(hashed.digests);
        (self.block, self.filled) = (hashed.block, hashed.filled);
    }

    /// The hash of everything so far.
    pub(crate) fn finish(&self) -> String {
        let mut outer = Sha256::new();
        for digest in &self.digests {
            outer.update(digest);
        }
        if self.filled > 0 {
            outer.update(self.block.clone().finalize());
        }
        hex(&outer.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_the_reference_hold() {
        let check = |bytes: &[u8], hash: &str| assert_eq!(content_hash(bytes), hash);
        let mut zeros = vec![0; 2 * BLOCK];
        check(
            b"",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        );
        check(
            b"a",
            "bf5d3affb73efd2ec6c36ad3112dd933efed63c4e1cbffcfa88e2759c144f2d8",
        );
        check(
            &zeros[..BLOCK],
            "c7e946d101855255d919ef0c70718633adf77d3dfb3adeeecf5d0cb4e951be58",
        );
        check(
            &zeros[..=BLOCK],
            "14a4d47f23a30177885d9820122f17d2d3a55fe63f7f5c27b95f689e0b2accd6",
        );
        check(
            &zeros,
            "03ae066c707c588592d9e27aa2444ca98423e0999024f1ceaa11a153790b37de",
        );
        zeros.fill(b'A');
        check(
            &zeros[..BLOCK],
            "d4d63bac5b866c71620185392a8a6218ac1092454a2d16f820363b69852befa3",
        );
        check(
            &zeros[..=BLOCK],
            "8f553da8d00d0bf509d8470e242888be33019c20c0544811f5b2b89e98360b92",
        );
    }
}
