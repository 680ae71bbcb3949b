//! Plans: what a mission is made from. A plan file in TOML, a Markdown document, or plain text.
//!
//! [`parse`] chooses the reader by the file's name. Each reader reports every problem of its text at once, with line and
//! column, and a [`Plan`] that it answers with is sound: its ids are unique, its dependencies exist, and no item waits
//! for itself. [`to_toml`] writes a plan as a file that reads back as the same plan; [`schema`] describes such a file
//! to editors.
//!
//! [`compile`] makes a plan of issues; a manifest ([`parse_manifest`]) says what their labels and texts do not.
//!
//! [`read_answer`] finds the plan in what an agent said.
//!
//! Open `keys.rs` for the keys of a plan file, `graph.rs` for the checks that all readers share.

mod answer;
mod fence;
mod file;
mod graph;
mod issue;
mod keys;
mod manifest;
mod markdown;
mod parts;
mod phrase;
mod policy;
mod reference;
mod slug;
mod text;
mod toml;
mod words;
mod write;

pub use answer::{ANSWER_LIMIT, Answer, NoPlan, begins_as_plan, holds_plan, read_answer};
pub use file::parse;
pub use issue::{Compiled, Issue, IssueComment, compile};
pub use keys::schema;
pub(crate) use keys::{ITEM, POLICY};
pub use manifest::{Manifest, parse_manifest};
pub use markdown::parse_markdown;
pub use parts::{BODY_LIMIT, GOAL_LIMIT, ID_LIMIT, ITEM_LIMIT, Plan, PlanItem, TITLE_LIMIT};
pub use policy::PolicyPatch;
pub(crate) use policy::read as read_policy;
pub use slug::slug;
pub use text::parse_text;
pub use toml::parse_toml;
pub(crate) use toml::{QA, plain, read_globs, unusable_glob};
pub use words::{kind_of, role_of};
pub use write::to_toml;
pub(crate) use write::{array as toml_array, string as toml_string};

#[cfg(test)]
mod issue_tests;
#[cfg(test)]
mod markdown_tests;
#[cfg(test)]
mod tests;
