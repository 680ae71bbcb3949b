//! What each tool takes, and how it is described to agents.

use musher_core::item::Kind;
use musher_core::message::{Sort, Urgency};
use musher_core::tool::NAMES;
use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportProgress {
    /// Where you are, in a line.
    pub(super) text: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskOperator {
    /// The question, with what the operator has to know to answer it, and the answers that you can work with.
    pub(super) question: String,
}

/// What sort of work an item is.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Work {
    Design,
    Implement,
    Test,
    Review,
    MergeGate,
    #[default]
    Followup,
}

impl From<Work> for Kind {
    fn from(work: Work) -> Self {
        match work {
            Work::Design => Self::Design,
            Work::Implement => Self::Implement,
            Work::Test => Self::Test,
            Work::Review => Self::Review,
            Work::MergeGate => Self::MergeGate,
            Work::Followup => Self::Followup,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddItem {
    /// One line.
    pub(super) title: String,
    /// The prompt of whoever does it: it must stand alone, for that agent knows nothing of yours.
    pub(super) body: String,
    /// What sort of work. Default: followup.
    #[serde(default)]
    pub(super) kind: Work,
    /// The role that an agent should have.
    #[serde(default)]
    pub(super) role: Option<String>,
    /// Capabilities that an agent must have, all of them.
    #[serde(default)]
    pub(super) labels: Vec<String>,
    /// Globs of the files that it will change.
    #[serde(default)]
    pub(super) touches: Vec<String>,
    /// Keys of the items that must be done first. Default: your own item; an empty list: none.
    #[serde(default)]
    pub(super) depends_on: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListItems {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetItem {
    /// The item's key.
    pub(super) key: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SubmitResult {
    /// What you did, and what is left. Agents whose items depend on yours read it.
    pub(super) summary: String,
    /// Only if nothing had to change: why.
    #[serde(default)]
    pub(super) no_change_needed: Option<String>,
    /// Files or addresses that you made and that matter.
    #[serde(default)]
    pub(super) artifacts: Vec<String>,
}

/// A verdict.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Approved,
    Rejected,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Review {
    /// Whether the change may be merged.
    pub(super) verdict: Verdict,
    /// Why; with a rejection, what must be mended.
    #[serde(default)]
    pub(super) text: String,
}

/// What a message is.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum MessageKind {
    Query,
    #[default]
    Info,
    Task,
    Confirmation,
}

impl From<MessageKind> for Sort {
    fn from(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Query => Self::Query,
            MessageKind::Info => Self::Info,
            MessageKind::Task => Self::Task,
            MessageKind::Confirmation => Self::Confirmation,
        }
    }
}

/// How soon a message is to be read.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Priority {
    Low,
    #[default]
    Normal,
    High,
    Urgent,
}

impl From<Priority> for Urgency {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Low => Self::Low,
            Priority::Normal => Self::Normal,
            Priority::High => Self::High,
            Priority::Urgent => Self::Urgent,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendMessage {
    /// The key of an item, or the name of an agent that is at work on one.
    pub(super) to: String,
    /// The words.
    pub(super) text: String,
    /// query, info, task or confirmation. Default: info.
    #[serde(default)]
    pub(super) kind: MessageKind,
    /// low, normal, high or urgent; urgent interrupts the other agent. Default: normal.
    #[serde(default)]
    pub(super) priority: Priority,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadMessages {}

/// A tool as agents see it.
pub(super) struct Described {
    pub(super) name: &'static str,
    pub(super) words: &'static str,
    pub(super) schema: Schema,
    /// It changes nothing.
    pub(super) reads: bool,
}

/// Every tool, in the order of [`NAMES`].
pub(super) fn all() -> Vec<Described> {
    NAMES
        .into_iter()
        .filter_map(|name| {
            let (words, schema, reads) = described(name)?;
            Some(Described { name, words, schema, reads })
        })
        .collect()
}

fn described(name: &str) -> Option<(&'static str, Schema, bool)> {
    Some(match name {
        "report_progress" => {
            ("Say where you are, so that the people who wait can see it.", schema_for!(ReportProgress), false)
        }
        "ask_operator" => (
            "Ask the operator something that you cannot decide or find out yourself. Waits for the answer, which may \
             take long; if your program gives up waiting, ask the same words again.",
            schema_for!(AskOperator),
            false,
        ),
        "add_item" => (
            "Add a work item to this mission: something that has to be done and is not yours to do.",
            schema_for!(AddItem),
            false,
        ),
        "list_items" => ("List the work items of this mission and how they stand.", schema_for!(ListItems), true),
        "get_item" => ("Show a work item of this mission with its text and its result.", schema_for!(GetItem), true),
        "submit_result" => (
            "Say what you end with, before you stop. The work itself is checked in any case.",
            schema_for!(SubmitResult),
            false,
        ),
        "review" => ("Give your verdict on the change that you were given to review.", schema_for!(Review), false),
        "send_message" => {
            ("Send a message to the agent of another work item of this mission.", schema_for!(SendMessage), false)
        }
        "read_messages" => {
            ("Read the messages that other agents have sent to you, each once.", schema_for!(ReadMessages), false)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_of_the_rules_is_described_and_its_schema_is_an_object_that_names_its_fields() {
        let all = all();
        assert_eq!(all.iter().map(|tool| tool.name).collect::<Vec<_>>(), NAMES);
        for tool in all {
            let schema = tool.schema.as_value();
            assert_eq!(schema["type"], "object", "{}", tool.name);
            assert_eq!(schema["additionalProperties"], false, "{}", tool.name);
        }
    }
}
