//! What a run is told that is to answer with a plan.

use std::fmt::Write;

use super::{Overlap, Parts, Worker};
use crate::plan::{ANSWER_LIMIT, ITEM};

/// What is wanted, in words.
pub(super) fn wanted(parts: &Parts) -> String {
    let mut text = String::from(
        "Plan this work; do none of it, and leave the files of this folder as they are. Look around in them as much as \
         you need.\n\n\
         Divide the work into items for other agents. Each item is done by one agent, in a worktree of its own that has \
         the merged results of the items it depends on, and the agent is told nothing but the item's title and body. So \
         a body stands alone: what is to be done, where, why, and how one sees that it is done. Make an item as small \
         as can be checked and merged by itself, and let it depend only on items whose results it needs: what does not \
         depend on each other is done at the same time. The policy of the mission is for a person to decide.\n",
    );
    if let Some(gate) = &parts.gate {
        // Writing to a string cannot fail.
        let _ = write!(text, "\nThis command must exit 0 before an item is merged:\n\n    {gate}\n");
    }
    if !parts.workers.is_empty() {
        text.push_str("\nThe agents that can be given items:\n\n");
        parts.workers.iter().for_each(|worker| text.push_str(&line(worker)));
    }
    if !parts.overlaps.is_empty() {
        text.push_str(
            "\nItems of earlier plans have changed these files at the same time, and their merges conflicted. Let one item \
             depend on the other where both change them, or name the files in `touches` of both:\n\n",
        );
        parts.overlaps.iter().for_each(|overlap| text.push_str(&clash(overlap)));
    }
    text
}

fn line(worker: &Worker) -> String {
    let list = |noun: &str, words: &[String]| match words {
        [] => String::new(),
        words => format!("; {noun} {}", words.join(", ")),
    };
    format!("- {}{}{}\n", worker.name, list("roles", &worker.roles), list("capabilities", &worker.capabilities))
}

fn clash(overlap: &Overlap) -> String {
    format!("- {} (items {})\n", overlap.files.join(", "), overlap.items.join(", "))
}

/// How to answer, with the keys of a plan file.
pub(super) fn report() -> String {
    let mut text = format!(
        "End your answer with the whole plan file, as TOML in one fenced block, {ANSWER_LIMIT} bytes at most:\n\n\
         ```toml\n\
         goal = \"One line: what is to be reached\"\n\n\
         [[items]]\n\
         id = \"texts\"\n\
         title = \"Move the texts into a table\"\n\
         body = '''\n\
         Move every text that a user sees into src/texts.rs, one function each.\n\
         '''\n\n\
         [[items]]\n\
         id = \"german\"\n\
         title = \"Speak German\"\n\
         body = \"Add German texts to src/texts.rs, chosen by the LANG variable.\"\n\
         depends_on = [\"texts\"]\n\
         touches = [\"src/texts.rs\"]\n\
         ```\n\n\
         The keys of an item:\n\n"
    );
    for key in ITEM {
        let default = match key.default {
            "" => String::new(),
            default => format!(" Default: {default}."),
        };
        let _ = writeln!(text, "- `{}` ({}): {}{default}", key.name, key.shape.type_name(), key.doc);
    }
    text.push_str(
        "\nThe plan is checked as `musher plan check` does, and a plan with a problem comes back with its problems named. \
         A person reads it before anything of it is begun. A program may also write it as `plan` into the JSON file that \
         MUSHER_RESULT names.",
    );
    text
}
