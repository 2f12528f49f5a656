//! What tells one directory tree from another when nothing can be written into it.
//!
//! All of it outlives a restart. The number of a device does not: it is given anew at each mount,
//! and so are the filesystem ids that are made of it.

use std::fmt;

/// What is left of an identity that 0.1 has written: device and inode.
const OLD_PARTS: usize = 2;

/// What a filesystem says of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeIdentity {
    /// The kind of filesystem: its magic number of `statfs(2)`.
    pub kind: u64,
    /// The id of the filesystem, on those kinds that make it of their UUID.
    pub filesystem: Option<u64>,
    /// When the directory was made, in nanoseconds since 1970, where that is kept.
    pub born_ns: Option<i128>,
    /// Its inode number.
    pub inode: u64,
}

impl TreeIdentity {
    /// Whether this is the directory a stored identity is of.
    ///
    /// Kind and inode must be the same, and so must be what else is known of both. An identity of
    /// 0.1 has nothing but the inode to hold against: a halt after an update, which nobody could
    /// tell from a lost disk, would be worse than to take it once. An unmounted disk shows even so,
    /// because the directory it was mounted on has another inode, unless both are the topmost of
    /// their filesystem; what its silence would delete the guards still ask about.
    pub fn is_of(&self, stored: &str) -> bool {
        let parts: Vec<&str> = stored.split(':').collect();
        if let [_, inode] = parts[..]
            && parts.len() == OLD_PARTS
        {
            return inode.parse() == Ok(self.inode);
        }
        let [kind, filesystem, born_ns, inode] = parts[..] else {
            return false;
        };
        let is_same = |known: &str, now: Option<String>| {
            known.is_empty() || now.is_none_or(|now| now == known)
        };
        kind.parse() == Ok(self.kind)
            && inode.parse() == Ok(self.inode)
            && is_same(filesystem, self.filesystem.map(|id| id.to_string()))
            && is_same(born_ns, self.born_ns.map(|ns| ns.to_string()))
    }
}

impl fmt::Display for TreeIdentity {
    /// `kind:filesystem:born:inode`, nothing for what is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |part: Option<String>| part.unwrap_or_default();
        let filesystem = text(self.filesystem.map(|id| id.to_string()));
        let born_ns = text(self.born_ns.map(|ns| ns.to_string()));
        write!(f, "{}:{filesystem}:{born_ns}:{}", self.kind, self.inode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: TreeIdentity = TreeIdentity {
        kind: 0xef53,
        filesystem: Some(7),
        born_ns: Some(-5),
        inode: 2,
    };

    #[test]
    fn what_is_known_of_both_must_be_the_same() {
        let stored = KNOWN.to_string();
        assert_eq!(stored, "61267:7:-5:2");
        assert!(KNOWN.is_of(&stored));
        let others = [
            TreeIdentity { kind: 1, ..KNOWN },
            TreeIdentity {
                filesystem: Some(8),
                ..KNOWN
            },
            TreeIdentity {
                born_ns: Some(5),
                ..KNOWN
            },
            TreeIdentity { inode: 3, ..KNOWN },
        ];
        assert!(others.iter().all(|other| !other.is_of(&stored)));
        for less in [
            TreeIdentity {
                filesystem: None,
                ..KNOWN
            },
            TreeIdentity {
                born_ns: None,
                ..KNOWN
            },
        ] {
            assert!(less.is_of(&stored) && KNOWN.is_of(&less.to_string()));
        }
    }

    #[test]
    fn an_identity_of_0_1_counts_by_its_inode() {
        assert!(KNOWN.is_of("2049:2"));
        for other in ["2049:3", "2", "", "2049:2:", "a:b", "1:2:3:4:5"] {
            assert!(!KNOWN.is_of(other), "{other}");
        }
    }
}
