//! Commands to a stand-in that runs as another process: one line in, one line out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::server::Listeners;
use crate::standin::{Node, Standin};

const HELP: &str = "traffic | reset | routes | count | token | latency MS [MS-PER-CONNECTION] | \
                    put PATH BYTES SEED | fill FOLDER N BYTES K | remove PATH | keep yes|no | help";

/// What obeys the commands.
pub(crate) struct Control {
    standin: Standin,
    pub(crate) listeners: Listeners,
}

impl Control {
    pub(crate) fn new(standin: Standin, listeners: Listeners) -> Self {
        Self { standin, listeners }
    }

    /// Carries out one line. Paths must not contain spaces.
    pub(crate) fn obey(&self, line: &str) -> Result<String, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |text: &str| {
            let number: Result<u64, _> = text.parse();
            number.map_err(|_| format!("not a number: {text}"))
        };
        match words[..] {
            ["traffic"] => return Ok(self.traffic()),
            ["reset"] => {
                self.listeners.reset_traffic();
                self.standin.clear_requests();
            }
            ["routes"] => return Ok(self.routes()),
            ["count"] => return Ok(self.count()),
            ["token"] => return Ok(self.standin.personal_access_token()),
            ["latency", request] => self.delay(number(request)?, 0),
            ["latency", request, connection] => self.delay(number(request)?, number(connection)?),
            ["put", path, size, seed] => {
                self.standin.put_seeded(path, number(size)?, number(seed)?);
            }
            ["fill", folder, count, size, each] => {
                self.fill(folder, number(count)?, number(size)?, number(each)?);
            }
            ["remove", path] if self.standin.remove(path) => {}
            ["remove", path] => return Err(format!("nothing at {path}")),
            ["keep", "yes"] => self.standin.set_keep_contents(true),
            ["keep", "no"] => self.standin.set_keep_contents(false),
            ["help"] => return Ok(HELP.into()),
            _ => return Err(format!("not understood: {line}")),
        }
        Ok("done".into())
    }

    fn delay(&self, request: u64, connection: u64) {
        let millis = Duration::from_millis;
        self.listeners
            .set_latency(millis(request), millis(connection));
    }

    /// Puts files `FOLDER/d00000/f0000000` and so on; the number of a file is its seed.
    fn fill(&self, folder: &str, count: u64, size: u64, each: u64) {
        for number in 0..count {
            let group = number / each.max(1);
            let path = format!("{folder}/d{group:05}/f{number:07}");
            self.standin.put_seeded(&path, size, number);
        }
    }

    fn traffic(&self) -> String {
        let traffic = self.listeners.traffic();
        json!({
            "connections": traffic.connections,
            "requests": traffic.requests,
            "bytes_in": traffic.bytes_in,
            "bytes_out": traffic.bytes_out,
        })
        .to_string()
    }

    /// How often each route was asked since the last `reset`.
    fn routes(&self) -> String {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for logged in self.standin.requests() {
            *counts.entry(logged.route).or_default() += 1;
        }
        json!(counts).to_string()
    }

    fn count(&self) -> String {
        let tree = self.standin.tree();
        let files = tree.values().filter(|node| **node != Node::Folder).count();
        json!({"files": files, "folders": tree.len() - files}).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_fill_count_and_remove() {
        let standin = Standin::new();
        let control = Control::new(standin.clone(), standin.listen().unwrap());
        assert_eq!(control.obey("fill /A 5 10 2").unwrap(), "done");
        assert_eq!(control.obey("count").unwrap(), r#"{"files":5,"folders":4}"#);
        assert_eq!(standin.read("/A/d00002/f0000004").unwrap().len(), 10);
        assert!(control.obey("remove /A").is_ok());
        assert!(control.obey("remove /A").is_err());
        assert!(control.obey("put /f ten 1").is_err());
        assert!(control.obey("nonsense").is_err());
        let idle = r#"{"bytes_in":0,"bytes_out":0,"connections":0,"requests":0}"#;
        assert_eq!(control.obey("traffic").unwrap(), idle);
    }
}
