//! Notifications on the desktop of whoever runs the daemon: what asks a person for something, until it is settled.
//!
//! `notify-send` shows them on Linux, and edits one in place by its number; `osascript` shows them on macOS, where none can
//! be edited. What stands on the screen is known to this process alone: numbers of an earlier one may be another
//! program's notification by now.

use musher_core::event::{Event, Happened, Logged};
use musher_core::id::{MissionId, RequestId, RunId};

use super::notifier::{Notice, Notifier};
use super::webhook::Failed;

/// How many notifications one look at the log brings at the most; the rest is counted.
const AT_ONCE: usize = 5;
/// How many notifications are remembered, to be edited or taken back.
const REMEMBERED: usize = 256;

/// What a notification is about: there is one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
enum About {
    /// What a mission asks; it asks one thing at a time.
    Mission(MissionId),
    /// What an agent asks, and for an approval the words of the action.
    Request { id: RequestId, run: Option<RunId>, action: Option<String> },
    /// Nothing that could be settled.
    Event,
    /// How many more there are.
    More,
}

/// A notification that was shown.
#[derive(Debug)]
struct Shown {
    about: About,
    number: Option<u32>,
    title: String,
}

/// The notifications of one sink.
#[derive(Debug)]
pub(super) struct Desktop {
    kinds: Vec<Box<str>>,
    notifier: Notifier,
    shown: Vec<Shown>,
}

impl Desktop {
    /// Shows these kinds of events; none = all.
    pub(super) fn new(kinds: Vec<Box<str>>) -> Self {
        Self::with(kinds, Notifier::of_this_machine())
    }

    pub(super) fn with(kinds: Vec<Box<str>>, notifier: Notifier) -> Self {
        Self { kinds, notifier, shown: Vec::new() }
    }

    /// Shows what still stands after all of these events, and takes back what they settle.
    pub(super) async fn deliver(&mut self, events: &[Logged]) -> Result<(), Failed> {
        let mut open: Vec<(About, Notice)> = Vec::new();
        let mut settled: Vec<usize> = Vec::new();
        for Logged { event, .. } in events {
            open.retain(|(about, _)| !settles(event, about));
            let over = |n: &usize| settles(event, &self.shown[*n].about);
            settled.extend((0..self.shown.len()).filter(over));
            if self.kinds.is_empty() || self.kinds.iter().any(|kind| **kind == *event.happened.name()) {
                let (about, notice) = (about(event), notice(event));
                open.retain(|(earlier, _)| about == About::Event || *earlier != about);
                open.push((about, notice));
            }
        }
        // What is asked anew is edited, not taken back.
        settled.retain(|n| open.iter().all(|(about, _)| *about != self.shown[*n].about));
        settled.sort_unstable();
        settled.dedup();
        for n in settled.into_iter().rev() {
            self.take_back(n).await?;
        }
        let more = open.len().saturating_sub(AT_ONCE);
        if more > 0 {
            let notice = Notice {
                title: format!("musher: {more} more"),
                text: "these and all others are in `musher inbox`".to_owned(),
                ..Notice::default()
            };
            open.drain(..more);
            open.push((About::More, notice));
        }
        for (about, notice) in open {
            self.show(about, notice).await?;
        }
        Ok(())
    }

    /// Shows that it works.
    pub(super) async fn test(&self, actor: &str) -> Result<(), Failed> {
        let text = format!("{actor} wanted to see whether this works");
        let notice = Notice { title: "musher: a test".to_owned(), text, ..Notice::default() };
        self.notifier.show(&notice, None).await.map(|_| ())
    }

    async fn show(&mut self, about: About, notice: Notice) -> Result<(), Failed> {
        let known = self.shown.iter().position(|shown| about != About::Event && shown.about == about);
        let before = known.and_then(|n| self.shown[n].number);
        let number = self.notifier.show(&notice, before).await?;
        let shown = Shown { about, number, title: notice.title };
        match known {
            Some(n) => self.shown[n] = shown,
            None if shown.about != About::Event => {
                if self.shown.len() >= REMEMBERED {
                    self.shown.remove(0);
                }
                self.shown.push(shown);
            }
            None => {}
        }
        Ok(())
    }

    /// A notification cannot be closed from here: it is turned into one that goes by itself.
    async fn take_back(&mut self, n: usize) -> Result<(), Failed> {
        if let Some(number) = self.shown[n].number {
            let title = self.shown[n].title.clone();
            let notice = Notice { title, text: "nothing is asked any more".to_owned(), passing: true };
            self.notifier.show(&notice, Some(number)).await?;
        }
        self.shown.remove(n);
        Ok(())
    }
}

/// Whether nobody needs to look at what the notification is about, now that this has happened.
fn settles(event: &Event, about: &About) -> bool {
    match (about, &event.happened) {
        (About::Mission(mission), Happened::MissionHelpRetired { .. }) => event.mission == Some(*mission),
        (
            About::Request { id, .. },
            Happened::HelpAnswered { request, .. } | Happened::ApprovalWithdrawn { request },
        ) => id == request,
        // It names no request: what was asked says which it was.
        (About::Request { run, action: Some(asked), .. }, Happened::ApprovalDecided { action, .. }) => {
            *run == event.run && *asked == action.text()
        }
        (About::Request { run, .. }, Happened::RunFinished { .. }) => *run == event.run,
        _ => false,
    }
}

fn about(event: &Event) -> About {
    match (&event.happened, event.mission) {
        (Happened::MissionHelpRequested { .. }, Some(mission)) => About::Mission(mission),
        (Happened::HelpRequested { request, .. }, _) => About::Request { id: *request, run: event.run, action: None },
        (Happened::ApprovalRequested { request, action, .. }, _) => {
            About::Request { id: *request, run: event.run, action: Some(action.text()) }
        }
        _ => About::Event,
    }
}

fn notice(event: &Event) -> Notice {
    let title = |what: &str| format!("musher: {what}");
    let (title, text, replies) = match &event.happened {
        Happened::MissionHelpRequested { text, replies, attempt } => {
            let again = if *attempt > 1 { format!(" (asked {attempt} times)") } else { String::new() };
            (title("a mission needs help"), format!("{text}{again}"), replies.iter().map(|r| r.to_string()).collect())
        }
        Happened::HelpRequested { request, text } => {
            let reply = format!("musher answer {} \"TEXT\"", request.short());
            (title("an agent asks"), text.to_string(), vec![reply])
        }
        Happened::ApprovalRequested { request, action, .. } => {
            let id = request.short();
            let replies = vec![format!("musher allow {id}"), format!("musher deny {id} \"WHY\"")];
            (title("an agent asks before it acts"), action.text(), replies)
        }
        other => (title(&other.name().replace('_', " ")), String::new(), Vec::new()),
    };
    Notice { title, text: Notice::text(&text, &place(event), &replies), passing: false }
}

/// What the event is about, as it is typed.
fn place(event: &Event) -> String {
    match (event.item, event.mission) {
        (Some(item), _) => format!("item {}", item.short()),
        (None, Some(mission)) => format!("mission {}", mission.short()),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests;
