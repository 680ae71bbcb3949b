//! Approvals: what an agent wants to do, and who says yes to it.
//!
//! [`rule()`] answers by [`Rules`]: yes, no, or that a person is asked. It sees text only. A rule is a safety net, not a
//! sandbox: a program that is allowed may do what its own code does, a symbolic link may lead anywhere, and a denied
//! command has other spellings than those known here. What the net does not understand, it asks about.

use serde::{Deserialize, Serialize};

mod default;
mod path;
mod pattern;
mod request;
mod rule;
mod ruling;
mod shell;
mod wrapper;

#[cfg(test)]
mod tests;

pub use default::default_rules;
pub(crate) use request::due;
pub use request::{Answered, Approvals, Request, Ruled, answer, asked, expire, find, gone};
pub use rule::{Rule, RuleError, Rules};
pub use ruling::{Ruling, rule};

/// Something that an agent asks for before it does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The agent's own reference, unique in its run.
    pub reference: Box<str>,
    /// What it wants.
    pub action: Action,
}

/// What an agent wants to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// To run this, whole, by a shell.
    Shell(Box<str>),
    /// To change these files: paths as the agent writes them, absolute or from its folder.
    Edit(Box<[Box<str>]>),
    /// To read these files or folders.
    Read(Box<[Box<str>]>),
    /// To fetch this address.
    Fetch(Box<str>),
    /// Anything else: the tool's name, and its arguments as text.
    Other(Box<str>, Box<str>),
}
