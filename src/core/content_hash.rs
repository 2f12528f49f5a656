//! Dropbox's `content_hash`, computed as bytes stream by.
//!
//! Source: the content hash page of the Dropbox developer reference: the SHA-256 of each block of
//! 4 MiB, concatenated, hashed with SHA-256 again.

use std::fmt;

use ring::digest::{Context, SHA256};

/// Size of the blocks that are hashed on their own, in bytes.
pub const BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// A `content_hash` as Dropbox states it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Reads 64 hexadecimal digits; anything else is no hash.
    pub fn parse(hex: &str) -> Option<ContentHash> {
        let mut bytes = [0; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(ContentHash(bytes))
    }

    /// The hash of bytes already in memory.
    pub fn of(bytes: &[u8]) -> ContentHash {
        let mut hasher = ContentHasher::new();
        hasher.update(bytes);
        hasher.finish()
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Computes a [`ContentHash`] from pieces of any size.
#[derive(Clone)]
pub struct ContentHasher {
    block: Context,
    block_len: usize,
    overall: Context,
}

impl ContentHasher {
    /// A hasher that has seen nothing yet.
    pub fn new() -> ContentHasher {
        ContentHasher {
            block: Context::new(&SHA256),
            block_len: 0,
            overall: Context::new(&SHA256),
        }
    }

    /// Feeds the next bytes of the content.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.block_len));
            self.block.update(now);
            self.block_len += now.len();
            if self.block_len == BLOCK_BYTES {
                self.close_block();
            }
            bytes = later;
        }
    }

    /// The hash of everything fed so far.
    pub fn finish(mut self) -> ContentHash {
        if self.block_len > 0 {
            self.close_block();
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(self.overall.finish().as_ref());
        ContentHash(hash)
    }

    fn close_block(&mut self) {
        let block = std::mem::replace(&mut self.block, Context::new(&SHA256));
        self.overall.update(block.finish().as_ref());
        self.block_len = 0;
    }
}

impl Default for ContentHasher {
    fn default() -> Self {
        ContentHasher::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors from the Dropbox reference, rclone's tests and independent computation.
    #[test]
    fn known_contents_have_their_known_hashes() {
        let zeros = vec![0; 2 * BLOCK_BYTES];
        let letters = vec![b'A'; BLOCK_BYTES + 1];
        let cases: [(&[u8], &str); 7] = [
            (
                b"",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                b"a",
                "bf5d3affb73efd2ec6c36ad3112dd933efed63c4e1cbffcfa88e2759c144f2d8",
            ),
            (
                &zeros[..BLOCK_BYTES],
                "c7e946d101855255d919ef0c70718633adf77d3dfb3adeeecf5d0cb4e951be58",
            ),
            (
                &zeros[..BLOCK_BYTES + 1],
                "14a4d47f23a30177885d9820122f17d2d3a55fe63f7f5c27b95f689e0b2accd6",
            ),
            (
                &zeros,
                "03ae066c707c588592d9e27aa2444ca98423e0999024f1ceaa11a153790b37de",
            ),
            (
                &letters[..BLOCK_BYTES],
                "d4d63bac5b866c71620185392a8a6218ac1092454a2d16f820363b69852befa3",
            ),
            (
                &letters,
                "8f553da8d00d0bf509d8470e242888be33019c20c0544811f5b2b89e98360b92",
            ),
        ];
        for (content, hash) in cases {
            assert_eq!(ContentHash::of(content).to_string(), hash);
            assert_eq!(format!("{:?}", ContentHash::of(content)), hash);
            assert_eq!(ContentHash::parse(hash), Some(ContentHash::of(content)));
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_hash() {
        let content: Vec<u8> = (0..BLOCK_BYTES + 1000).map(|i| (i % 251) as u8).collect();
        for piece in [1000, 65_536, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1] {
            let mut hasher = ContentHasher::new();
            content.chunks(piece).for_each(|c| hasher.update(c));
            assert_eq!(
                hasher.finish(),
                ContentHash::of(&content),
                "pieces of {piece}"
            );
        }
    }

    /// The definition as it is written, by another implementation of SHA-256.
    fn by_definition(content: &[u8]) -> ContentHash {
        use sha2::{Digest, Sha256};
        let mut blocks = Sha256::new();
        for block in content.chunks(BLOCK_BYTES) {
            blocks.update(Sha256::digest(block));
        }
        ContentHash(blocks.finalize().into())
    }

    #[test]
    fn another_sha_256_gives_the_same_hash_at_every_border() {
        let mut state = 1_u64;
        let content: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .take(2 * BLOCK_BYTES + 1000)
        .collect();
        // Around the ends of a block of SHA-256, of its padding, and of a block of Dropbox.
        for border in [
            0,
            55,
            56,
            64,
            128,
            BLOCK_BYTES,
            2 * BLOCK_BYTES,
            content.len(),
        ] {
            for len in border.saturating_sub(1)..=(border + 1).min(content.len()) {
                let content = &content[..len];
                assert_eq!(ContentHash::of(content), by_definition(content), "{len}");
            }
        }
    }

    #[test]
    fn only_64_hex_digits_are_a_hash() {
        let long = "0".repeat(65);
        for text in [
            "",
            "zz",
            &"0".repeat(63),
            &long,
            &"g".repeat(64),
            &"é".repeat(32),
        ] {
            assert_eq!(ContentHash::parse(text), None);
        }
    }
}
