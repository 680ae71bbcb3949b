//! Comments on a pull request that are notes to its mission.
//!
//! A conversation on a pull request is between people. So a comment is a note only when its first word says that it is meant
//! for musher; "please stop the review here" stops nothing.

use serde::{Deserialize, Serialize};

use super::Pull;
use crate::change::Change;
use crate::command::{Actor, Answer, Refused};
use crate::effect::EffectKind;
use crate::event::Happened;
use crate::forge::{ForgeWork, PullSeen};
use crate::id::ItemId;
use crate::item::Item;
use crate::note;
use crate::state::State;
use crate::step::Context;

/// A comment that was read as a note and is not applied yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// The comment; 0 when it was read before that was kept.
    #[serde(default)]
    pub comment: u64,
    /// Who has written it, by the forge's name.
    pub author: Box<str>,
    /// The note.
    pub text: Box<str>,
}

/// The first words that make a comment a note.
const ADDRESSES: [&str; 2] = ["/musher", "@musher"];

/// The most names of those who are not obeyed that are kept for a pull request; who comes after them is not named.
const NAMED: usize = 100;

/// What a comment says to musher; nothing when it is not meant for it.
pub fn note_of(comment: &str) -> Option<&str> {
    let (first, rest) = comment.trim().split_once(char::is_whitespace).unwrap_or((comment.trim(), ""));
    let first = first.trim_end_matches([',', ':']);
    ADDRESSES.iter().any(|address| first.eq_ignore_ascii_case(address)).then(|| rest.trim())
}

/// Reads what was said since the last look: notes of trusted people are kept until they are applied, each once, and who is not
/// obeyed is named once.
pub(super) fn read(item: &Item, row: &mut Pull, seen: &PullSeen, change: &mut Change, cx: &Context) {
    let read_to = row.read_to;
    for comment in seen.comments.iter().filter(|comment| comment.id > read_to) {
        row.read_to = row.read_to.max(comment.id);
        let Some(text) = note_of(&comment.text) else { continue };
        if comment.trusted {
            row.remarks.push(Remark { comment: comment.id, author: comment.author.clone(), text: text.into() });
        } else if row.disobeyed.len() < NAMED && !row.disobeyed.contains(&comment.author) {
            row.disobeyed.push(comment.author.clone());
            let author = comment.author.clone();
            change.events.push(cx.about(item, Happened::CommentDisobeyed { number: seen.number, author }));
        }
    }
}

/// Applies the oldest note of a pull request in its author's name, and says there what came of it. A reaction shows which comment
/// was meant.
pub(crate) fn heed(state: &State, id: ItemId, cx: &mut Context) -> Result<Change, Refused> {
    let pull = state.pull(id).ok_or(Refused::Stale { what: "its item has no pull request" })?;
    let remark = pull.remarks.first().ok_or(Refused::Stale { what: "its pull request has no note" })?;
    let author = Actor::Operator(format!("@{}", remark.author).into());
    let mut as_author = Context { now: cx.now, entropy: &mut *cx.entropy, actor: &author };
    let (mut change, said) = match note::apply(state, pull.mission, &remark.text, &mut as_author) {
        Ok(mut change) => {
            let said = match std::mem::take(&mut change.answer) {
                Answer::Note(said) => said,
                Answer::Done
                | Answer::Mission(_)
                | Answer::Agent(_)
                | Answer::Help(_)
                | Answer::Item(_)
                | Answer::Messages(_)
                | Answer::Schedule(_)
                | Answer::Trigger(_)
                | Answer::Watch(_)
                | Answer::Webhook(_)
                | Answer::Relayed(_) => "done".to_owned(),
            };
            (change, said)
        }
        Err(refused) => {
            let fix = refused.fix().map(|fix| format!("; {fix}")).unwrap_or_default();
            (Change::default(), format!("nothing was done: {refused}{fix}"))
        }
    };
    // What the note has made of the pull request counts; the note itself is over.
    let mut row = change.pulls.iter().rev().find(|row| row.item == id).unwrap_or(pull).clone();
    row.remarks.remove(0);
    change.pulls.push(row);
    if remark.comment != 0 {
        let work = ForgeWork::React { comment: remark.comment };
        change.effects.push(cx.effect(id, EffectKind::Forge(work)));
    }
    if let Some(number) = pull.number {
        let text = format!("@{}: {said}", remark.author).into();
        change.effects.push(cx.effect(id, EffectKind::Forge(ForgeWork::CommentPull { number, text })));
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_comment_whose_first_word_is_for_musher_is_a_note() {
        for (comment, note) in [
            ("/musher pause for lunch", Some("pause for lunch")),
            ("@musher resume", Some("resume")),
            ("  @Musher, hold now  ", Some("hold now")),
            ("/musher:\nredirect api to ann", Some("redirect api to ann")),
            ("/musher", Some("")),
            ("stop", None),
            ("please /musher stop", None),
            ("@musherbot stop", None),
            ("/mushers stop", None),
            ("musher stop", None),
            ("> /musher stop", None),
            ("`/musher stop`", None),
            ("<!-- /musher stop -->", None),
            ("@ada /musher stop", None),
            ("//musher stop", None),
            ("", None),
        ] {
            assert_eq!(note_of(comment), note, "{comment}");
        }
    }
}
