//! What must never be lost: every content a person wrote, until a person who saw it replaced or
//! removed it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::random::Random;

/// Something a person wrote.
#[derive(Clone, Debug)]
pub struct Value {
    pub bytes: Vec<u8>,
    /// A person who saw it wrote something else there, or removed it.
    pub is_superseded: bool,
    /// Where it was written first, for the message.
    pub origin: String,
}

/// All values of a history. No two are equal.
#[derive(Default)]
pub struct Oracle {
    values: Vec<Value>,
    by_bytes: HashMap<Vec<u8>, usize>,
}

impl Oracle {
    /// A content nobody has written before.
    pub fn fresh(&mut self, random: &mut Random, origin: &str) -> Vec<u8> {
        let length = match random.below(100) {
            0..70 => 10 + random.below(60),
            70..90 => 500 + random.below(4000),
            90..99 => 66_000 + random.below(9000),
            _ => 8,
        };
        let mut bytes = format!("{:06}", self.values.len()).into_bytes();
        let fill = random.next();
        bytes.resize(length as usize, b'a' + (fill % 26) as u8);
        self.add(bytes.clone(), origin);
        bytes
    }

    /// A content made of an older one.
    pub fn add(&mut self, bytes: Vec<u8>, origin: &str) {
        if self.by_bytes.contains_key(&bytes) {
            return;
        }
        self.by_bytes.insert(bytes.clone(), self.values.len());
        self.values.push(Value {
            bytes,
            is_superseded: false,
            origin: origin.to_owned(),
        });
    }

    /// A person saw this and replaced or removed it.
    pub fn supersede(&mut self, bytes: &[u8]) {
        if let Some(at) = self.by_bytes.get(bytes) {
            self.values[*at].is_superseded = true;
        }
    }

    /// Whether this is a whole content somebody wrote, not a part or a mixture.
    pub fn knows(&self, bytes: &[u8]) -> bool {
        self.by_bytes.contains_key(bytes)
    }

    /// Values that must be somewhere and are nowhere in `trees`.
    pub fn missing(&self, trees: &[BTreeMap<String, Arc<Vec<u8>>>]) -> Vec<&Value> {
        let is_there = |value: &Value| {
            trees
                .iter()
                .any(|tree| tree.values().any(|bytes| **bytes == value.bytes))
        };
        self.values
            .iter()
            .filter(|value| !value.is_superseded && !is_there(value))
            .collect()
    }
}

/// A content as a message shows it.
pub fn shown(bytes: &[u8]) -> String {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(12)]).into_owned();
    format!("{head:?}({} bytes)", bytes.len())
}
