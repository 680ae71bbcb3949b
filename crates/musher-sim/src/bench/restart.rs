//! What a restart on a large file costs, in time and in memory, measured in a process of its own.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use musher_core::effect::EffectKind;
use musher_engine::machine::Machine;
use serde::{Deserialize, Serialize};

use super::{BenchError, Figure, START, open};

/// What a fresh process found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Seconds to open the file.
    pub open_s: f64,
    /// Seconds to load the world.
    pub load_s: f64,
    /// Seconds from there until a dispatch was on disk.
    pub first_s: f64,
    /// Items in memory.
    pub items: usize,
    /// Whether anything was dispatched.
    pub dispatched: bool,
    /// Resident memory after the load, in KiB.
    pub rss_kib: u64,
    /// The most that was ever resident, in KiB.
    pub peak_kib: u64,
}

/// Runs in a process of its own: opens a data folder, loads it, dispatches.
pub fn part(folder: &Path) -> Result<Part, BenchError> {
    let started = Instant::now();
    let store = open(folder)?;
    let open_s = started.elapsed().as_secs_f64();
    let mut machine = Machine::load(Box::new(store), 17)?;
    let load_s = started.elapsed().as_secs_f64() - open_s;
    // The run that the last life left is answered, so that its agent is free for the first dispatch.
    let inputs: Vec<_> = machine
        .state()
        .effects()
        .filter(|e| matches!(e.kind, EffectKind::StartRun(_)))
        .map(super::material::answer)
        .collect();
    let batch = machine.batch(&inputs, START.after(std::time::Duration::from_secs(60)))?;
    let first_s = started.elapsed().as_secs_f64() - open_s - load_s;
    Ok(Part {
        open_s,
        load_s,
        first_s,
        items: machine.state().item_count(),
        dispatched: batch.effects.iter().any(|e| matches!(e.kind, EffectKind::StartRun(_))),
        rss_kib: status_kib("VmRSS:"),
        peak_kib: status_kib("VmHWM:"),
    })
}

fn status_kib(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn in_a_process_of_its_own(folder: &Path) -> Result<Part, BenchError> {
    let failed = |what: &dyn std::fmt::Display| BenchError::Part(what.to_string());
    let program = std::env::current_exe().map_err(|e| failed(&e))?;
    let said = Command::new(program).arg("bench-part").arg("--dir").arg(folder).output().map_err(|e| failed(&e))?;
    if !said.status.success() {
        return Err(failed(&String::from_utf8_lossy(&said.stderr)));
    }
    serde_json::from_slice(&said.stdout).map_err(|e| failed(&e))
}

/// With a share of the items active.
pub(super) fn measure(folder: &Path, items: u32, active: u32, figures: &mut Vec<Figure>) -> Result<(), BenchError> {
    let part = in_a_process_of_its_own(folder)?;
    if !part.dispatched || part.items < active as usize {
        return Err(BenchError::Part(format!("it loaded {} items and dispatched: {}", part.items, part.dispatched)));
    }
    let whole = part.open_s + part.load_s + part.first_s;
    let name = format!("restart to first dispatch, {items} items on file, {active} active");
    figures.push(Figure::at_most(name, whole, "s", 2.0));
    figures.push(Figure::plain("… opening", part.open_s, "s"));
    figures.push(Figure::plain("… loading", part.load_s, "s"));
    figures.push(Figure::plain("… first dispatch on disk", part.first_s, "s"));
    figures.push(Figure::plain("… resident after it", part.rss_kib as f64 / 1024.0, "MiB"));
    figures.push(Figure::plain("… most ever resident", part.peak_kib as f64 / 1024.0, "MiB"));
    figures.push(Figure::plain(RESIDENT, part.rss_kib as f64, "KiB"));
    Ok(())
}

/// The figure that the idle one is compared with.
const RESIDENT: &str = "… resident after it, in KiB";

/// With none active. The memory of the active ones is the difference to what was measured before.
pub(super) fn measure_idle(folder: &Path, active: u32, figures: &mut Vec<Figure>) -> Result<(), BenchError> {
    let part = in_a_process_of_its_own(folder)?;
    if part.items != 0 {
        return Err(BenchError::Part(format!("{} items are in memory and none should be", part.items)));
    }
    let busy = figures.iter().position(|f| f.name == RESIDENT).map(|at| figures.remove(at).value).unwrap_or(0.0);
    let idle = part.rss_kib as f64;
    figures.push(Figure::at_most("resident with none active", idle / 1024.0, "MiB", 40.0));
    let each = (busy - idle) * 1024.0 / f64::from(active.max(1));
    figures.push(Figure::at_most("… more for each active item", each, "B", 1024.0));
    Ok(())
}
