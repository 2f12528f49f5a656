//! Reads the recordings beside it, for whoever holds something against them: the stand-in here, the
//! agent in its own tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// The calls of each case, each with its `request` and `response`, by `file/case`; `dir` is where
/// this file is, from the directory of the package on.
pub fn cases(dir: &str) -> BTreeMap<String, Vec<Value>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut cases = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "json") {
            continue;
        }
        let group = path.file_stem().unwrap().to_string_lossy().into_owned();
        let list: Vec<Value> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for case in list {
            let name = format!("{group}/{}", case["case"].as_str().unwrap());
            cases.insert(name, case["calls"].as_array().unwrap().clone());
        }
    }
    cases
}
