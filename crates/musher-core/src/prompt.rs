//! The prompt: plain text, the same for every driver; only the sections that apply.

use crate::item::{Fix, Item};
use crate::run::Purpose;

mod planning;
mod template;

pub use template::{Fault, Template, Values};

/// The longest prompt of a project, in bytes.
pub const LONGEST_PROMPT: usize = 64 << 10;

/// The most of a dependency's summary that a prompt carries, in characters.
pub const SUMMARY_CHARS: usize = 2_000;

/// What an item that this one depends on left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Result {
    /// Its title.
    pub title: String,
    /// Its branch.
    pub branch: String,
    /// Its merged commit.
    pub commit: Option<String>,
    /// The agent's closing words.
    pub summary: String,
}

/// An agent that a planner may count on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Worker {
    /// Its name.
    pub name: String,
    /// Its roles.
    pub roles: Vec<String>,
    /// Its capabilities.
    pub capabilities: Vec<String>,
}

/// Files at which merges of earlier items have conflicted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// The files.
    pub files: Vec<String>,
    /// The keys of the items.
    pub items: Vec<String>,
}

/// Everything that goes into a prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The item's body, exactly as written.
    pub body: String,
    /// What the project tells its agents first: a template.
    pub prompt: Option<String>,
    /// What its dependencies left behind.
    pub results: Vec<Result>,
    /// What a failed attempt left.
    pub lesson: Option<String>,
    /// Notes of operators.
    pub notes: Vec<String>,
    /// The gate.
    pub gate: Option<String>,
    /// For a review: the diff.
    pub diff: Option<String>,
    /// Whether the agent has musher's tools.
    pub tools: bool,
    /// For a plan: who could do its items.
    pub workers: Vec<Worker>,
    /// For a plan: files that items of earlier plans have changed at the same time, and conflicted.
    pub overlaps: Vec<Overlap>,
}

/// Writes the prompt of a run.
pub fn render(item: &Item, purpose: Purpose, parts: &Parts) -> String {
    let mut text = opening(item, purpose, parts);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let mut section = |heading: &str, body: &str| {
        text.push_str("\n## ");
        text.push_str(heading);
        text.push_str("\n\n");
        text.push_str(body.trim_end());
        text.push('\n');
    };
    if !parts.results.is_empty() {
        section("Results of the items this one depends on", &results(&parts.results));
    }
    if let Some(diff) = &parts.diff {
        section("The change to review", diff);
    }
    if let Some(lesson) = &parts.lesson {
        section(lesson_heading(item.fix), lesson);
    }
    if !parts.notes.is_empty() {
        section("Notes from operators", &parts.notes.join("\n\n"));
    }
    match purpose {
        Purpose::Plan => {
            section("What is wanted", &planning::wanted(parts));
            section("How to report", &planning::report());
            return text;
        }
        Purpose::Review => {
            section("How to report", if parts.tools { REVIEWER_WITH_TOOLS } else { REVIEWER });
            return text;
        }
        Purpose::Work | Purpose::Resolve => {}
    }
    if let Some(check) = check(item, parts.gate.as_deref()) {
        section("How the work is checked", &check);
    }
    if parts.tools {
        let waiting = match crate::message::unread(item) {
            0 => String::new(),
            n => format!(" {n} message(s) wait for you: read them first."),
        };
        section("How to report", &format!("{TOOLS}{waiting}"));
        return text;
    }
    section(
        "How to report",
        "Work in the current folder, on its present branch. Your last line of output is kept as the summary. You may write \
         JSON to the file that MUSHER_RESULT names: summary, usage, and no_change_needed with a reason if nothing has to \
         change.",
    );
    text
}

/// What the project says, and the item's title and text, unless the project has said those.
fn opening(item: &Item, purpose: Purpose, parts: &Parts) -> String {
    let own = format!("{}\n\n{}", item.title, parts.body);
    let prompt = match purpose {
        Purpose::Work | Purpose::Resolve => parts.prompt.as_deref(),
        Purpose::Plan | Purpose::Review => None,
    };
    // It was read when it was configured.
    let Some(template) = prompt.and_then(|text| Template::parse(text).ok()) else { return own };
    let said = template.render(&Values {
        identifier: item.issue.as_ref().map_or_else(|| item.key.to_string(), ToString::to_string),
        title: &item.title,
        description: &parts.body,
        labels: item.labels.join(", "),
        attempt: (item.attempts > 0).then_some(item.attempts),
    });
    let said = said.trim();
    if template.tells_description() { said.to_owned() } else { format!("{said}\n\n{own}") }
}

/// How an agent with musher's tools reports.
const TOOLS: &str = "Work in the current folder, on its present branch. The MCP server `musher` gives you tools: \
    report_progress says where you are; ask_operator asks a person and waits for the answer; add_item adds work that is \
    not yours to do; list_items and get_item show the mission; send_message and read_messages talk to the agents of other \
    items. Before you stop, say with submit_result what you did, or why nothing had to change; without it your last \
    message is kept as the summary.";

/// How a reviewer reports.
const REVIEWER: &str = "Judge the change; change nothing. Answer with `approved: …` or `rejected: …` as the first words of \
                        your last line of output, or as `review` in the JSON file that MUSHER_RESULT names.";

/// How a reviewer with musher's tools reports.
const REVIEWER_WITH_TOOLS: &str = "Judge the change; change nothing. Give your verdict with the tool `review` of the server \
    `musher`, or answer with `approved: …` or `rejected: …` as the first words of your last message.";

fn lesson_heading(fix: Option<Fix>) -> &'static str {
    match fix {
        Some(Fix::Gate(_)) => "The check refused the last attempt",
        Some(Fix::Checks(_)) => "A check of the pull request is red",
        Some(Fix::Conflict(_)) => {
            "The branch conflicts with the newest base; the merge is open in this folder, with conflict markers"
        }
        Some(Fix::Rejected(_)) => "A reviewer asked for changes",
        Some(Fix::HandedOver(_)) => "Another agent has begun this",
        Some(Fix::Failed(_)) | None => "The last attempt failed",
    }
}

fn results(results: &[Result]) -> String {
    let mut text = String::new();
    for result in results {
        text.push_str(&format!("- {} (branch {}", result.title, result.branch));
        if let Some(commit) = &result.commit {
            text.push_str(&format!(", merged as {commit}"));
        }
        text.push_str(")\n");
        let summary: String = result.summary.chars().take(SUMMARY_CHARS).collect();
        for line in summary.lines() {
            text.push_str(&format!("  {line}\n"));
        }
    }
    text
}

fn check(item: &Item, gate: Option<&str>) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(gate) = gate {
        parts.push(format!("This command must exit 0 in this folder:\n\n    {gate}"));
    }
    if !item.touches.is_empty() {
        parts.push(format!("The change should stay within: {}", item.touches.join(", ")));
    }
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}
