//! The driver for any command: what to run, with which environment, and what it answers. All of it is pure but for one
//! read of the result file.

mod environment;
pub mod home;
mod result;
pub mod sandbox;
mod template;

pub use environment::{Facts, environment};
pub use result::{
    AgentResult, Class, MAX_ARTIFACTS, MAX_RESULT_BYTES, ResultError, Review, SUMMARY_CHARS, Used, answer,
    parse_result, read_result, summary,
};
pub use template::{Template, TemplateError, Values, resolve_program};
