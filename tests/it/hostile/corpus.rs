//! The fuzz targets as tests: over the committed corpus, and over seeded mutations of it.

use std::fs;
use std::path::Path;

use super::targets::TARGETS;

/// Splitmix64: the same seed, the same inputs.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Pieces that parsers stumble over.
const PIECES: [&[u8]; 24] = [
    b"\0",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\xc3\x28",
    b"..",
    b"/",
    b"//",
    b"/../",
    b"/.",
    b"\n",
    b"\x1e",
    "\u{130}\u{30c}".as_bytes(),
    "J\u{30c}\u{323}".as_bytes(),
    "\u{202e}\u{1f600}\u{fb01}".as_bytes(),
    b"-1",
    b"1e309",
    b"18446744073709551616",
    b"null",
    b"{\"\":",
    b"[[[[[[[[[[[[[[[[",
    b".ferrybox-root",
];

/// One input: a seed with a few small injuries, or nothing but noise.
fn mutated(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    if corpus.is_empty() || random.below(16) == 0 {
        let length = random.below(200);
        return (0..length).map(|_| random.next() as u8).collect();
    }
    let mut data = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len() + 1);
        match random.below(7) {
            0 => data.truncate(at),
            1 if at < data.len() => data[at] ^= 1 << random.below(8),
            2 if at < data.len() => data[at] = random.next() as u8,
            3 if at < data.len() => drop(data.remove(at)),
            4 => {
                let end = (at + random.below(64)).min(data.len());
                let copy = data[at..end].to_vec();
                let to = random.below(data.len() + 1);
                data.splice(to..to, copy);
            }
            5 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len() + 1);
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
            _ => {
                let piece = PIECES[random.below(PIECES.len())];
                data.splice(at..at, piece.iter().copied());
            }
        }
    }
    data
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Runs one target; a failure names the input.
fn run(name: &str, seeded: u64) {
    let (_, body) = TARGETS
        .into_iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    let corpus = corpus(name);
    assert!(
        corpus.len() >= 3,
        "the corpus of {name} has {}",
        corpus.len()
    );
    let survives = |data: &[u8], what: &str| {
        let shown = String::from_utf8_lossy(&data[..data.len().min(2000)]).into_owned();
        if std::panic::catch_unwind(|| body(data)).is_err() {
            panic!("{name}, {what}: {shown:?}");
        }
    };
    for (number, data) in corpus.iter().enumerate() {
        survives(data, &format!("corpus file {number}"));
    }
    for seed in 0..seeded {
        let data = mutated(&mut Random(seed), &corpus);
        survives(&data, &format!("seed {seed}"));
    }
}

#[test]
fn a_listing_page_read_as_a_stream_is_the_page_or_none() {
    run("list_page", 4000);
}

#[test]
fn a_result_header_or_error_body_is_understood_or_refused() {
    run("result_header", 4000);
}

#[test]
fn a_configuration_is_taken_whole_or_refused_with_a_place() {
    run("config", 2000);
}

#[test]
fn whatever_path_is_listed_lands_beneath_the_root_or_nowhere() {
    run("path_mapping", 2000);
}

#[test]
fn no_retry_after_makes_a_pass_hang_hammer_or_crash() {
    run("retry_after", 2000);
}

#[test]
fn a_state_file_is_taken_whole_or_not_at_all() {
    run("state_file", 1500);
}

#[test]
fn any_bytes_as_the_index_are_rows_in_order_or_damage() {
    run("index_file", 1000);
}

#[test]
fn schedules_and_filters_are_taken_or_refused_in_one_line() {
    run("schedule_and_filter", 3000);
}
