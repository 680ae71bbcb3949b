//! What reviewing agents have said of the commits of a pull request, said there too: under an account of its own, once.
//!
//! An agent reviews before its commit is pushed. So its yes is posted after the first look that sees that commit as the head, and
//! before the forge is asked to merge. Its no is posted at once where there is a pull request already, and as words only
//! while the forge does not have that commit.

use super::Pull;
use super::tend::followed;
use crate::change::Change;
use crate::effect::EffectKind;
use crate::event::Happened;
use crate::forge::{ForgeFailure, ForgeWork, Judgement, PullSeen, PullState};
use crate::id::{ItemId, RunId};
use crate::item::{Item, Posted};
use crate::state::State;
use crate::step::Context;
use crate::watch;

/// The most characters of a reviewer's words that are posted.
const WORDS: usize = 8_000;

/// What will be posted of a reviewing agent's yes to the item's head: written while its run is known.
pub(crate) fn approval(state: &State, item: &Item, run: RunId, text: &str) -> Option<Posted> {
    let head = item.head.as_deref().filter(|_| state.settings().posts_reviews)?;
    Some(Posted { run, text: words(state, run, Judgement::Approve, head, text) })
}

/// A reviewing agent's yes to this head, which is posted before anything else is done to the pull request.
pub(super) fn approved(state: &State, item: &Item, row: &Pull, seen: &PullSeen, cx: &mut Context) -> Option<Change> {
    let approval = item.approval.as_ref().filter(|approval| approval.head == seen.head)?;
    let posted = approval.posted.as_ref().filter(|posted| row.reviewed != Some(posted.run))?;
    if !state.settings().posts_reviews {
        return None;
    }
    let mut row = row.clone();
    row.reviewed = Some(posted.run);
    let work = ForgeWork::ReviewPull {
        number: seen.number,
        head: approval.head.clone(),
        run: posted.run,
        judgement: Judgement::Approve,
        text: posted.text.clone(),
    };
    let effect = cx.effect(item.id, EffectKind::Forge(work));
    // The answer makes it be looked at again at once; this is for the case that none comes.
    (row.looks.due, row.looks.fallback) = (Some(cx.now.after(watch::interval(state, row.mission))), false);
    Some(Change { pulls: vec![row], effects: vec![effect], ..Change::default() })
}

/// Whether a review is on its way to the forge: until it is there, nothing is merged.
pub(super) fn is_on_its_way(state: &State, id: ItemId) -> bool {
    state.effects_of(id).any(|effect| matches!(effect.kind, EffectKind::Forge(ForgeWork::ReviewPull { .. })))
}

/// A reviewing agent's no to the item's head, where there is a pull request to say it on.
pub(crate) fn rejected(state: &State, item: &Item, run: RunId, text: &str, cx: &mut Context) -> Change {
    let mut change = Change::default();
    let pull = state.pull(item.id).filter(|pull| pull.state == PullState::Open && state.settings().posts_reviews);
    let (Some(pull), Some(head)) = (pull, &item.head) else { return change };
    let Some(number) = pull.number else { return change };
    let is_there = pull.pushed.as_ref() == Some(head);
    let judgement = if is_there { Judgement::RequestChanges } else { Judgement::Comment };
    let text = words(state, run, judgement, head, text);
    let work = ForgeWork::ReviewPull { number, head: head.clone(), run, judgement, text };
    change.effects.push(cx.effect(item.id, EffectKind::Forge(work)));
    change
}

/// Who has reviewed what, and the words.
fn words(state: &State, run: RunId, judgement: Judgement, head: &str, text: &str) -> Box<str> {
    let agent = state.run(run).and_then(|run| state.agent(run.agent)).map(|agent| agent.spec.name.clone());
    let who = agent.map_or_else(|| "A reviewing agent".to_owned(), |name| format!("The reviewing agent `{name}`"));
    let head = super::short(head);
    let says = match judgement {
        Judgement::Approve => format!("{who} approves {head}."),
        Judgement::RequestChanges => format!("{who} asks for changes of {head}."),
        Judgement::Comment => format!("{who} has rejected {head}, which is not pushed; a further run mends it."),
    };
    let text: String = text.trim().chars().take(WORDS).collect();
    if text.is_empty() { says.into() } else { format!("{says}\n\n{text}").into() }
}

/// It is there. What waits for it goes on.
pub(super) fn posted(
    state: &State,
    id: ItemId,
    (number, judgement): (u64, Judgement),
    own: bool,
    cx: &Context,
) -> Change {
    let Some(item) = state.item(id) else { return Change::default() };
    let event = cx.about(item, Happened::PullReviewed { number, verdict: judgement.name().into(), own });
    Change { events: vec![event], pulls: hurried(state, id, cx), ..Change::default() }
}

/// It is not there. What passes is tried again after the next look; anything else is said, and it goes on without.
pub(super) fn not_posted(
    state: &State,
    id: ItemId,
    (number, run): (u64, RunId),
    failure: &ForgeFailure,
    cx: &Context,
) -> Change {
    if failure.counts() {
        let Some(item) = state.item(id) else { return Change::default() };
        let event = cx.about(item, Happened::PullNotReviewed { number, error: failure.to_string().into() });
        return Change { events: vec![event], pulls: hurried(state, id, cx), ..Change::default() };
    }
    let Ok((_, pull)) = followed(state, id) else { return Change::default() };
    let mut row = pull.clone();
    row.reviewed = row.reviewed.filter(|posted| *posted != run);
    Change { pulls: vec![row], ..Change::default() }
}

fn hurried(state: &State, id: ItemId, cx: &Context) -> Vec<Pull> {
    let Ok((_, pull)) = followed(state, id) else { return Vec::new() };
    let looks = watch::hurried(&pull.looks, cx.now);
    if looks == pull.looks { Vec::new() } else { vec![Pull { looks, ..pull.clone() }] }
}
