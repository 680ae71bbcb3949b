//! The simulator, the history checker, the fuzzer and the benchmarks of musher. Never shipped.
//!
//! A seed is a night: a world of missions and agents, drivers that fail as drivers do, operators who change their minds,
//! and a machine that crashes at the worst of moments. The rules and the store are the real ones; drivers, clock and
//! agents are simulated, so a night of twelve hours takes milliseconds and the same seed is the same night.
//!
//! Open [`night`] for the loop, [`outside`] for what is true whatever musher believes, [`checker`] for what must hold,
//! [`variant`] for the defects that the checker has to catch, [`crowd`] for thousands of items that contend for dozens of
//! agents, [`mod@bench`] for the benchmarks, [`fuzz`] for the parsers of what others write.

pub mod bench;
pub mod campaign;
pub mod chance;
pub mod checker;
pub mod coverage;
pub mod crowd;
pub mod disk;
pub mod failure;
pub mod faulty;
pub mod fuzz;
pub mod night;
mod nodes;
pub mod operator;
pub mod outside;
mod quotas;
pub mod seen;
pub mod sinks;
pub mod variant;
pub mod world;
