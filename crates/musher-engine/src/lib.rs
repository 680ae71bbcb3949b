//! The loop of musher: commands in, one decision at a time, one fsync a batch, effects out, their results back in.
//!
//! It never decides anything itself (that is `musher-core`) and never touches a repository or an agent (those are the
//! drivers behind [`driver`]). Open [`machine`] for what a batch is, [`engine`] for the thread that runs it and how it
//! starts, [`runner`] for how effects reach their drivers.

pub mod clock;
pub mod driver;
pub mod engine;
pub mod firing;
mod hosts;
pub mod job;
pub mod machine;
pub mod pass;
pub mod paths;
pub mod programs;
pub mod runner;
pub mod watchdog;

pub use clock::{Clock, ManualClock, SystemClock};
pub use engine::{Engine, EngineConfig, EngineError, StartError, StartReport};
pub use machine::{Batch, Input, Machine};
pub use pass::Passes;
pub use paths::Paths;
