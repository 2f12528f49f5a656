//! Runs of one case that are compared: ours and those of others, in turn.

use std::io;
use std::process::Command;
use std::time::Duration;

use crate::child::{Cost, median, run};
use crate::dropbox::{Dropbox, Traffic};
use crate::table::{self, Row, ratio};

/// The runs of one tool.
struct Of {
    tool: String,
    costs: Vec<Cost>,
    /// Of the last run.
    traffic: Option<Traffic>,
}

/// The runs of a case at a latency. The first tool is ours.
pub struct Runs {
    case: String,
    latency_ms: u64,
    all: Vec<Of>,
}

impl Runs {
    /// None yet.
    pub fn new(case: &str, latency_ms: u64) -> Runs {
        Runs {
            case: case.to_owned(),
            latency_ms,
            all: Vec::new(),
        }
    }

    /// Notes a run.
    pub fn note(&mut self, tool: &str, cost: Cost, traffic: Option<Traffic>) {
        match self.all.iter_mut().find(|of| of.tool == tool) {
            Some(of) => {
                of.costs.push(cost);
                of.traffic = traffic;
            }
            None => self.all.push(Of {
                tool: tool.to_owned(),
                costs: vec![cost],
                traffic,
            }),
        }
    }

    /// Runs a tool that does not speak to Dropbox, or whose traffic is not of interest.
    ///
    /// # Errors
    /// If it fails.
    pub fn tool(&mut self, tool: &str, command: &mut Command) -> io::Result<()> {
        let cost = run(command)?;
        self.note(tool, cost, None);
        Ok(())
    }

    /// Runs a tool that speaks to Dropbox, and what has to come after it to count as the same.
    ///
    /// # Errors
    /// If one of them fails.
    pub fn client(
        &mut self,
        tool: &str,
        dropbox: &mut Dropbox,
        command: &mut Command,
        then: Option<&mut Command>,
    ) -> io::Result<()> {
        dropbox.tell(&format!("latency {}", self.latency_ms))?;
        dropbox.reset()?;
        let mut cost = run(command)?;
        if let Some(then) = then {
            let more = run(then)?;
            cost.wall += more.wall;
            cost.cpu += more.cpu;
        }
        let traffic = dropbox.traffic()?;
        self.note(tool, cost, Some(traffic));
        Ok(())
    }

    /// The median wall time of a tool.
    pub fn wall(&self, tool: &str) -> Duration {
        let of = self.all.iter().find(|of| of.tool == tool);
        of.map_or(Duration::ZERO, |of| median(of.costs.clone()).wall)
    }

    /// Prints a line for each tool; `more` is said of ours.
    pub fn print(&self, more: &str) {
        let Some(ours) = self.all.first().map(|of| median(of.costs.clone())) else {
            return;
        };
        for (number, of) in self.all.iter().enumerate() {
            let cost = median(of.costs.clone());
            let rounds = of.costs.len();
            let mut note = match rounds {
                1 => "one run".to_owned(),
                _ => format!("median of {rounds}"),
            };
            if number > 0 {
                let (wall, cpu) = (ratio(cost.wall, ours.wall), ratio(cost.cpu, ours.cpu));
                note.push_str(&format!(
                    ", {wall:.2} times our wall time, {cpu:.2} our CPU"
                ));
            } else if !more.is_empty() {
                note.push_str(&format!(", {more}"));
            }
            table::print(&Row {
                case: self.case.clone(),
                latency_ms: self.latency_ms,
                tool: of.tool.clone(),
                cost,
                traffic: of.traffic,
                note,
            });
        }
    }
}
