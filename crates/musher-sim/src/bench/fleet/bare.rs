//! The probe: the same agents without musher, each with a `cat` that brings what it says to a file.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::super::{BenchError, fresh, remove};

/// Agents that nobody looks after.
pub(super) struct Bare {
    agents: Vec<Child>,
    cats: Vec<Child>,
}

impl Bare {
    /// Starts so many of this command.
    pub(super) fn start(dir: &Path, command: &[String], runs: usize) -> Result<Self, BenchError> {
        let folder = fresh(dir, "bare")?;
        let mut bare = Self { agents: Vec::new(), cats: Vec::new() };
        for n in 0..runs {
            let path = folder.join(n.to_string());
            let file = File::create(&path).map_err(BenchError::io(&path))?;
            let (program, arguments) = command.split_first().ok_or(BenchError::Part("no agent is named".into()))?;
            let mut agent = Command::new(program);
            agent.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
            let mut agent = agent.spawn().map_err(BenchError::io(Path::new(program)))?;
            let out = agent.stdout.take().map_or_else(Stdio::null, Stdio::from);
            bare.agents.push(agent);
            let cat = Command::new("cat").stdin(out).stdout(file).spawn();
            bare.cats.push(cat.map_err(BenchError::io(Path::new("cat")))?);
        }
        // The files are open: nobody needs their names.
        remove(&folder)?;
        Ok(bare)
    }

    /// The pids of the agents.
    pub(super) fn agents(&self) -> Vec<i32> {
        pids(&self.agents)
    }

    /// The pids of the `cat`s.
    pub(super) fn cats(&self) -> Vec<i32> {
        pids(&self.cats)
    }
}

fn pids(children: &[Child]) -> Vec<i32> {
    children.iter().filter_map(|child| i32::try_from(child.id()).ok()).collect()
}

impl Drop for Bare {
    fn drop(&mut self) {
        for child in self.agents.iter_mut().chain(&mut self.cats) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
