//! `musher docs-generate`: the reference pages, made from the code so that they cannot differ from it.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::CommandFactory;
use musher_core::event::CATALOGUE;
use musher_core::item::{self, ItemEvent, Phase};
use musher_core::mission::{self, MissionEvent, MissionState};

use crate::cli::Cli;
use crate::error::Outcome;

/// Write the generated pages of the documentation
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder they are written to
    folder: PathBuf,
}

pub(crate) fn run(args: &Args) -> Outcome {
    for (name, text) in pages() {
        std::fs::write(args.folder.join(name), text)?;
    }
    Ok(0)
}

/// Every generated page: its file name and its text.
pub(crate) fn pages() -> [(&'static str, String); 4] {
    [
        ("cli.md", cli()),
        ("config.md", musher_core::config::reference()),
        ("states.md", states()),
        ("events.md", events()),
    ]
}

fn cli() -> String {
    let mut text = String::from(
        "# Commands\n\n<!-- Generated from the code by `scripts/docs`; do not edit. -->\n\n\
         Every reading command takes `--json` and then prints exactly one JSON document (streams: one a line). Ids: the \
         full id, or at least four digits of the beginning of the full or the short form; items also `MISSION/key`, agents \
         by name.\n\n\
         Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused, 5 no daemon, 6 the mission ended failed, cancelled \
         or blocked, 130 interrupted.\n",
    );
    let mut root = Cli::command();
    root.build();
    for command in root.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        section(&mut text, command, "musher", 2);
    }
    text
}

fn section(text: &mut String, command: &clap::Command, parent: &str, depth: usize) {
    let name = format!("{parent} {}", command.get_name());
    let _ = writeln!(text, "\n{} `{name}`\n", "#".repeat(depth));
    if let Some(about) = command.get_long_about().or(command.get_about()) {
        let _ = writeln!(text, "{about}\n");
    }
    let inner: Vec<_> = command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help").collect();
    let own: Vec<_> = command
        .get_arguments()
        .filter(|a| !a.is_hide_set() && !a.is_global_set())
        .filter(|a| !matches!(a.get_id().as_str(), "help" | "version"))
        .collect();
    // A group does nothing by itself, unless it takes arguments of its own.
    if inner.is_empty() || !own.is_empty() {
        let usage = command.clone().render_usage().to_string();
        for line in usage.trim_start_matches("Usage: ").lines() {
            let _ = writeln!(text, "    {}", line.trim());
        }
        text.push('\n');
    }
    if !own.is_empty() {
        let _ = writeln!(text, "| argument | meaning |\n|---|---|");
        for argument in own {
            let _ = writeln!(text, "| `{}` | {} |", shown(argument), meaning(argument));
        }
    }
    for command in inner {
        section(text, command, &name, depth + 1);
    }
}

fn shown(argument: &clap::Arg) -> String {
    let values: Vec<String> = argument.get_value_names().unwrap_or_default().iter().map(|v| v.to_string()).collect();
    let value = values.join(" ");
    match (argument.get_short(), argument.get_long()) {
        (_, Some(long)) if argument.get_action().takes_values() => format!("--{long} {value}"),
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => value,
    }
}

fn meaning(argument: &clap::Arg) -> String {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    let defaults: Vec<String> = argument
        .get_default_values()
        .iter()
        .map(|v| v.to_string_lossy().into_owned())
        .filter(|v| !v.is_empty())
        .collect();
    if defaults.is_empty() || !argument.get_action().takes_values() {
        help
    } else {
        format!("{help} (default `{}`)", defaults.join(" "))
    }
}

/// Every pair of state and event, asked of the very functions that move items and missions.
fn states() -> String {
    let mut text = String::from(
        "# States\n\n<!-- Generated from the code by `scripts/docs`; do not edit. -->\n\n\
         What may follow, by state and by what happens. `.` is refused: such a wish is answered with the state and changes \
         nothing. What the states mean is told in [Concepts](../concepts.md#the-states-of-an-item).\n\n## Items\n",
    );
    let words = |phase: Phase| phase.name().replace('_', " ");
    table(&mut text, &Phase::ALL, &ItemEvent::ALL, (words, ItemEvent::name), item::moved);
    text.push_str(
        "\n`held` is left by `musher item release` as well, to the state that the item was taken from; a run that was \
         interrupted begins anew, from `ready`.\n",
    );
    meanings(&mut text, &ItemEvent::ALL, (ItemEvent::name, ItemEvent::meaning));
    text.push_str("\n## Missions\n");
    let words = |state: MissionState| state.name().replace('_', " ");
    table(&mut text, &MissionState::ALL, &MissionEvent::ALL, (words, MissionEvent::name), mission::moved);
    meanings(&mut text, &MissionEvent::ALL, (MissionEvent::name, MissionEvent::meaning));
    text
}

/// A row a state, a column an event.
fn table<S: Copy, E: Copy>(
    text: &mut String,
    states: &[S],
    events: &[E],
    (state_name, event_name): (impl Fn(S) -> String, impl Fn(E) -> &'static str),
    moved: impl Fn(S, E) -> Option<S>,
) {
    let names: Vec<String> = events.iter().map(|event| event_name(*event).replace('_', " ")).collect();
    let _ = writeln!(text, "\n| state | {} |\n|---|{}", names.join(" | "), "---|".repeat(events.len()));
    for state in states {
        let cell = |event: &E| moved(*state, *event).map_or_else(|| ".".to_owned(), &state_name);
        let cells: Vec<String> = events.iter().map(cell).collect();
        let _ = writeln!(text, "| **{}** | {} |", state_name(*state), cells.join(" | "));
    }
}

fn meanings<E: Copy>(
    text: &mut String,
    events: &[E],
    (name, meaning): (impl Fn(E) -> &'static str, impl Fn(E) -> &'static str),
) {
    let _ = writeln!(text, "\n| what happens | meaning |\n|---|---|");
    for event in events {
        let _ = writeln!(text, "| {} | {} |", name(*event).replace('_', " "), meaning(*event));
    }
}

fn events() -> String {
    let mut text = String::from(
        "# Events\n\n<!-- Generated from the code by `scripts/docs`; do not edit. -->\n\n\
         Each event has `seq`, `at`, `kind`, `mission`, `item`, `agent`, `run`, `actor` and a `body` with the fields below. \
         `seq` grows by one an event and is never used twice; a reader that remembers the last one it saw goes on from \
         exactly there.\n\n| kind | what happened | body |\n|---|---|---|\n",
    );
    for (name, meaning, fields) in CATALOGUE {
        let fields: Vec<String> = fields.iter().map(|(field, doc)| format!("`{field}`: {doc}")).collect();
        let _ = writeln!(text, "| `{name}` | {meaning} | {} |", fields.join("; "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_pages_in_docs_are_those_of_the_code() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/reference");
        for (name, text) in pages() {
            let kept = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            assert!(kept == text, "docs/src/reference/{name} is not what the code says: run `scripts/docs`");
        }
    }
}
