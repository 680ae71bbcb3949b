//! The keys of a plan file.

use crate::config::key::{Key, Shape};

/// The JSON Schema (draft 2020-12) of a plan file, as published by `musher plan schema`.
pub fn schema() -> &'static str {
    include_str!("schema.json")
}

/// The root of a plan file.
pub(crate) const PLAN: &[Key] = &[
    Key::new("goal", Shape::Text, "", "What is to be reached, one line. Required."),
    Key::new("policy", Shape::Table(POLICY), "", "What musher may do by itself in this mission."),
    Key::new("items", Shape::Tables(ITEM), "", "The items, one `[[items]]` each. At least one."),
];

/// The policy of a mission; the same keys in a plan file and in `musher.toml`.
pub(crate) const POLICY: &[Key] = &[
    Key::new(
        "max_parallel_items",
        Shape::Whole(1, 100_000),
        "2",
        "How many items may be assigned, running or verifying at once.",
    ),
    Key::new("reviewer_required", Shape::Flag, "true", "Whether implement and test items need a review."),
    Key::new(
        "auto_merge",
        Shape::Flag,
        "false",
        "Whether the forge is asked to merge by itself; concerns pull requests only.",
    ),
    Key::new("watch_interval_secs", Shape::Whole(1, 31_536_000), "180", "Seconds between two looks of a watch."),
    Key::new("max_retries", Shape::Whole(1, 1_000), "3", "Counted failures of an item before the dead letter."),
    Key::new("budget_usd", Shape::Money, "", "Dollars at which the mission stops dispatching; 0 = no cap."),
    Key::new(
        "budget_tokens",
        Shape::Whole(0, 1_000_000_000_000_000),
        "",
        "Tokens at which the mission stops dispatching; 0 = no cap.",
    ),
    Key::new("max_added_items", Shape::Whole(0, 100_000), "20", "How many items the mission's agents may add to it."),
    Key::new(
        "on_cap",
        Shape::Word(&["block", "requeue", "fail"]),
        "block",
        "What becomes of an item whose run a quota has stopped: a person retries it, it waits for the quota, or it is in \
         the dead letter.",
    ),
    Key::new(
        "on_rate_limit",
        Shape::Word(&["wait", "failover", "ask"]),
        "wait",
        "What becomes of an item whose agent's account is used up for now: it waits for that account, another account takes \
         it, or a person is asked while it waits.",
    ),
    Key::new("deadline", Shape::Moment, "", "When the mission has failed if it is not done."),
    Key::new(
        "weight",
        Shape::Whole(1, 100),
        "1",
        "The mission's share of what can be dispatched, beside other missions that have ready items of the same priority.",
    ),
];

/// A watch of an item: one of the two.
pub(crate) const WATCH: &[Key] = &[
    Key::new(
        "command",
        Shape::Texts,
        "",
        "A program and its arguments, run without a shell at the repository's root; met when it exits 0.",
    ),
    Key::new("url", Shape::Text, "", "An address; met when it answers with a status of 200 to 299."),
];

/// An item of a plan file.
pub(crate) const ITEM: &[Key] = &[
    Key::new("id", Shape::Text, "", "Unique in the file; 1 to 64 of `[a-z0-9-]`. Required."),
    Key::new("title", Shape::Text, "the body's first line", "One line. Required when there is no body."),
    Key::new("body", Shape::Text, "", "The prompt, at most 256 KiB."),
    Key::new(
        "kind",
        Shape::Word(&["design", "implement", "test", "review", "merge_gate", "followup"]),
        "implement",
        "What sort of work.",
    ),
    Key::new("role", Shape::Text, "", "The role that an agent should have."),
    Key::new("priority", Shape::Word(&["critical", "high", "medium", "low"]), "medium", "How urgent."),
    Key::new("labels", Shape::Texts, "", "Capabilities that an agent must have, all of them."),
    Key::new(
        "depends_on",
        Shape::Texts,
        "",
        "Ids of the items that must be done first, and issues such as `#12` or `owner/name#12` that must be closed first.",
    ),
    Key::new(
        "after",
        Shape::Tables(WATCH),
        "",
        "What must be met outside before it starts: `{ command = [\"PROGRAM\", \"ARGUMENT\"] }` exits 0, or `{ url = \
         \"https://…\" }` answers with a status of 200 to 299.",
    ),
    Key::new(
        "then",
        Shape::Tables(WATCH),
        "",
        "What must be met outside after it is done, before the mission is; as in `after`.",
    ),
    Key::new("issue", Shape::Text, "", "The issue that it comes from, such as `#12` or `owner/name#12`."),
    Key::new(
        "touches",
        Shape::Texts,
        "",
        "Globs of what it will change; items whose globs overlap do not run at the same time.",
    ),
    Key::new("agent", Shape::Text, "", "The only agent that may take it."),
    Key::new("gate", Shape::Text, "the project's", "The command that must exit 0 before its work is merged."),
    Key::new("qa", Shape::Word(&["server", "agent", "human"]), "the project's", "Who must be content."),
    Key::new("max_retries", Shape::Whole(1, 1_000), "the policy's", "Counted failures before the dead letter."),
    Key::new("skip", Shape::Flag, "false", "Counted as done from the start."),
];
