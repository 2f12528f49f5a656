//! The names of our own files beneath the content dir. None of them ever travels.

use ring::hmac;

/// What all of them begin with.
const PREFIX: &str = ".ferrybox-";

/// The marker that says which content dir this is.
pub const MARKER: &str = ".ferrybox-root";

/// What the name of a download on its way ends with.
const TEMP_SUFFIX: &str = ".tmp";
/// What the beginning of a large download ends with.
const PARTIAL_SUFFIX: &str = ".part";
/// Hexadecimal digits that only we can have put into the name of a beginning.
const SEAL_DIGITS: usize = 16;
/// Hexadecimal digits in the name of a file in a runtime directory, and what it ends with.
const SHORT_LIVED_DIGITS: usize = 16;
/// See [`SHORT_LIVED_DIGITS`].
const SHORT_LIVED_SUFFIX: &str = ".json";
/// Hexadecimal digits that tell one instance from another.
const INSTANCE_DIGITS: usize = 8;

/// Whether this path component is one of ours, in any case of letters, because vfat and Dropbox do
/// not tell cases apart.
pub fn is_own_name(name: &str) -> bool {
    name.get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// The name of a file in a runtime directory, after what it holds and by a hash, in hexadecimal
/// digits, of what it belongs to.
pub fn short_lived_name(prefix: &str, hash: &str) -> String {
    let id: String = hash.chars().take(SHORT_LIVED_DIGITS).collect();
    format!("{prefix}{id}{SHORT_LIVED_SUFFIX}")
}

/// Whether a name is such a one.
pub fn is_short_lived_name(prefix: &str, name: &str) -> bool {
    let id = name.strip_prefix(prefix);
    let id = id.and_then(|rest| rest.strip_suffix(SHORT_LIVED_SUFFIX));
    id.is_some_and(|id| {
        id.len() == SHORT_LIVED_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Who makes temporary files: one state directory on one machine. The content dir of another may
/// lie within ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance(String);

/// Whose temporary file a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This instance's.
    Us,
    /// Another instance's.
    Another,
    /// It does not say: 0.1 has made it.
    Unsaid,
}

/// A temporary file, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leftover<'n> {
    /// Whose it is.
    pub owner: Owner,
    /// The revision whose beginning it holds, unless it is one of those that are not taken up.
    pub rev: Option<&'n str>,
}

impl Instance {
    /// The instance of a hash that tells it from others: its first 8 hexadecimal digits.
    pub fn of_hash(hash: &str) -> Instance {
        Instance(hash.chars().take(INSTANCE_DIGITS).collect())
    }

    /// The name of a download on its way; `random` tells it from others.
    pub fn temp_name(&self, random: &str) -> String {
        format!("{PREFIX}{}-{random}{TEMP_SUFFIX}", self.0)
    }

    /// The name under which the beginning of a revision waits for the rest in the directory of a
    /// key. Nobody can guess it who does not know `secret`.
    pub fn partial_name(&self, secret: &str, dir: &str, rev: &str) -> String {
        let seal = seal(secret, dir, rev);
        format!("{PREFIX}{}-{rev}-{seal}{PARTIAL_SUFFIX}", self.0)
    }

    /// The temporary file that has this name; nothing if it is none.
    pub fn leftover<'n>(&self, name: &'n str) -> Option<Leftover<'n>> {
        let rest = name.strip_prefix(PREFIX)?;
        let (rest, is_partial) = match rest.strip_suffix(PARTIAL_SUFFIX) {
            Some(rest) => (rest, true),
            None => (rest.strip_suffix(TEMP_SUFFIX)?, false),
        };
        let is_instance = |id: &str| {
            id.len() == INSTANCE_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let (owner, rest) = match rest.split_once('-') {
            Some((id, rest)) if id == self.0 => (Owner::Us, rest),
            Some((id, rest)) if is_instance(id) => (Owner::Another, rest),
            _ => (Owner::Unsaid, rest),
        };
        let rev = rest.rsplit_once('-').map_or(rest, |(rev, _)| rev);
        Some(Leftover {
            owner,
            rev: is_partial.then_some(rev),
        })
    }
}

/// What proves that a name is ours: HMAC-SHA256 over the key of a directory and a revision.
fn seal(secret: &str, dir: &str, rev: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{dir}\n{rev}").as_bytes());
    let digits = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.take(SEAL_DIGITS / 2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_name_says_whose_it_is_and_of_what() {
        let (us, another) = (
            Instance::of_hash("0123456789abcdef"),
            Instance::of_hash("fedcba98"),
        );
        let found = |name: &str| {
            let found = us.leftover(name)?;
            Some((found.owner, found.rev.map(str::to_owned)))
        };
        let rev = || Some("015f".to_owned());
        let temp = us.temp_name("ff00");
        assert_eq!(temp, ".ferrybox-01234567-ff00.tmp");
        assert_eq!(found(&temp), Some((Owner::Us, None)));
        assert_eq!(
            found(&another.temp_name("ff00")),
            Some((Owner::Another, None))
        );
        let part = us.partial_name("secret", "d", "015f");
        assert_eq!(
            part.len(),
            ".ferrybox-01234567-015f-".len() + 16 + ".part".len()
        );
        assert_eq!(found(&part), Some((Owner::Us, rev())));
        let other = another.partial_name("secret", "d", "015f");
        assert_eq!(found(&other), Some((Owner::Another, rev())));
        assert_eq!(
            found(".ferrybox-01234567-015f.part"),
            Some((Owner::Us, rev()))
        );
        assert_eq!(found(".ferrybox-ff00.tmp"), Some((Owner::Unsaid, None)));
        let old = Some((Owner::Unsaid, rev()));
        assert_eq!(found(".ferrybox-015f.part"), old);
        // Another secret, directory or revision makes another name.
        assert_ne!(us.partial_name("x", "d", "015f"), part);
        let in_another = us.partial_name("secret", "e", "015f");
        assert!(in_another != part && in_another.starts_with(".ferrybox-01234567-015f-"));
        for name in [MARKER, ".ferrybox-root.new", "f.tmp", ".ferrybox-x"] {
            assert_eq!(found(name), None, "{name}");
        }
    }
}
