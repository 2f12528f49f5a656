//! The command line of the benchmarks: which cases, and how large.

use crate::cases::Case;

/// What was asked for.
#[derive(Default)]
pub struct Options {
    /// Smaller sizes, fewer rounds.
    pub quick: bool,
    /// Without the other tools.
    pub alone: bool,
    /// Latencies in milliseconds; those of the case if empty.
    pub latencies: Vec<u64>,
    named: Vec<String>,
}

impl Options {
    /// Reads the arguments; `None` if they make no sense.
    pub fn read(mut words: impl Iterator<Item = String>, cases: &[Case]) -> Option<Self> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => options.quick = true,
                "--alone" => options.alone = true,
                "--latency" => {
                    let list = words.next()?;
                    for text in list.split(',') {
                        options.latencies.push(text.parse().ok()?);
                    }
                }
                // Cargo says that this is a benchmark.
                "--bench" => {}
                name if cases.iter().any(|case| case.name == name) => options.named.push(word),
                _ => return None,
            }
        }
        Some(options)
    }

    /// Whether a case is to be run.
    pub fn selects(&self, name: &str) -> bool {
        self.named.is_empty() || self.named.iter().any(|named| named == name)
    }
}

/// How it is used.
pub fn usage(cases: &[Case]) -> String {
    let mut text = "usage: cargo bench -- [--quick] [--alone] [--latency MS,MS...] [CASE]...\n\
                    --alone leaves the other tools out; cases:"
        .to_owned();
    for case in cases {
        text.push_str(&format!("\n  {:10} {}", case.name, case.about));
    }
    text
}
