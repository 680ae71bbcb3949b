//! The table: which state may follow which, and on what event. Nothing else moves an item.

use serde::{Deserialize, Serialize};

use super::ItemState;

/// The state of an item without its particulars: the rows of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A dependency is not done.
    Pending,
    /// May be dispatched.
    Ready,
    /// An agent is chosen.
    Assigned,
    /// The agent works.
    Running,
    /// The result is checked.
    Verifying,
    /// On a review or an approval.
    Waiting,
    /// In the merge queue.
    Merging,
    /// The merge failed.
    MergeFailed,
    /// Merged, or accepted without a merge.
    Done,
    /// Musher has stopped trying.
    Blocked,
    /// An operator took it out.
    Held,
    /// The dead letter.
    Failed,
    /// Will never be done.
    Cancelled,
}

impl Phase {
    /// Every phase, in the order of the table.
    pub const ALL: [Self; 13] = [
        Self::Pending,
        Self::Ready,
        Self::Assigned,
        Self::Running,
        Self::Verifying,
        Self::Waiting,
        Self::Merging,
        Self::MergeFailed,
        Self::Done,
        Self::Blocked,
        Self::Held,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The phase of a state.
    pub const fn of(state: &ItemState) -> Self {
        match state {
            ItemState::Pending => Self::Pending,
            ItemState::Ready => Self::Ready,
            ItemState::Assigned => Self::Assigned,
            ItemState::Running => Self::Running,
            ItemState::Verifying => Self::Verifying,
            ItemState::Waiting(_) => Self::Waiting,
            ItemState::Merging(_) => Self::Merging,
            ItemState::MergeFailed(_) => Self::MergeFailed,
            ItemState::Done => Self::Done,
            ItemState::Blocked(_) => Self::Blocked,
            ItemState::Held { .. } => Self::Held,
            ItemState::Failed(_) => Self::Failed,
            ItemState::Cancelled(_) => Self::Cancelled,
        }
    }

    /// The word on the command line, in the API and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Assigned => "assigned",
            Self::Running => "running",
            Self::Verifying => "verifying",
            Self::Waiting => "waiting",
            Self::Merging => "merging",
            Self::MergeFailed => "merge_failed",
            Self::Done => "done",
            Self::Blocked => "blocked",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What happens to an item: the columns of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemEvent {
    /// Its last dependency is satisfied.
    Unlock,
    /// An agent was chosen.
    Assign,
    /// The agent's process started.
    Start,
    /// The run ended well.
    Finish,
    /// Back to the queue: a retry, a fix, a lost start, or an interruption.
    Requeue,
    /// Verified; someone must say yes.
    Wait,
    /// Into the merge queue.
    Enqueue,
    /// The merge landed.
    Land,
    /// The merge failed.
    MergeFail,
    /// Accepted without a merge.
    Accept,
    /// Musher stops trying.
    Block,
    /// A person or a note frees it.
    Free,
    /// A person or a note frees it, and what holds up its start is looked at again.
    Relock,
    /// Retries are used up.
    Exhaust,
    /// An operator takes it out.
    Hold,
    /// An operator lets nothing new begin for it; it stays where it is.
    Freeze,
    /// An operator sends it back to the start.
    Demote,
    /// Nobody will do it.
    Cancel,
    /// Another item does its work.
    Supersede,
    /// A person wants more of what is done: a follow-up item is made, and this one stays as it is.
    Reopen,
}

impl ItemEvent {
    /// Every event, in the order of the table.
    pub const ALL: [Self; 20] = [
        Self::Unlock,
        Self::Assign,
        Self::Start,
        Self::Finish,
        Self::Requeue,
        Self::Wait,
        Self::Enqueue,
        Self::Land,
        Self::MergeFail,
        Self::Accept,
        Self::Block,
        Self::Free,
        Self::Relock,
        Self::Exhaust,
        Self::Hold,
        Self::Freeze,
        Self::Demote,
        Self::Cancel,
        Self::Supersede,
        Self::Reopen,
    ];

    /// The word in the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unlock => "unlock",
            Self::Assign => "assign",
            Self::Start => "start",
            Self::Finish => "finish",
            Self::Requeue => "requeue",
            Self::Wait => "wait",
            Self::Enqueue => "enqueue",
            Self::Land => "land",
            Self::MergeFail => "merge_fail",
            Self::Accept => "accept",
            Self::Block => "block",
            Self::Free => "free",
            Self::Relock => "relock",
            Self::Exhaust => "exhaust",
            Self::Hold => "hold",
            Self::Freeze => "freeze",
            Self::Demote => "demote",
            Self::Cancel => "cancel",
            Self::Supersede => "supersede",
            Self::Reopen => "reopen",
        }
    }

    /// What it means, for the documentation.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Unlock => "the last of what it depends on is satisfied",
            Self::Assign => "an agent was chosen",
            Self::Start => "the agent's process started",
            Self::Finish => "the run ended well",
            Self::Requeue => "back to the queue: a retry, a fix, a lost start, or an interruption",
            Self::Wait => "verified; a review, an approval or its pull request is next",
            Self::Enqueue => "into the merge queue",
            Self::Land => "the merge landed",
            Self::MergeFail => "the merge failed",
            Self::Accept => "accepted without a merge: nothing had to change, or `musher item skip`",
            Self::Block => "musher stops trying",
            Self::Free => "`musher item retry`, or a note, gives it a fresh start",
            Self::Relock => "the same, and what holds up its start is looked at again",
            Self::Exhaust => "retries are used up",
            Self::Hold => "`musher item hold`, or `musher queue eject`, takes it out",
            Self::Freeze => "`musher item freeze` lets nothing new begin for it",
            Self::Demote => "`musher item demote` sends it back to the start",
            Self::Cancel => "`musher item cancel`, `musher reject --for-good`, or the end of its mission",
            Self::Supersede => "`musher item supersede`: another item does its work",
            Self::Reopen => "`musher item reopen`: a follow-up item is made",
        }
    }
}

/// The state that follows, or nothing when the event is refused there.
///
/// `Held` leaves by release to the state it was taken from; that is the only move that the table cannot name.
pub const fn moved(from: Phase, event: ItemEvent) -> Option<Phase> {
    use ItemEvent as E;
    use Phase as P;
    match from {
        P::Pending => match event {
            E::Unlock => Some(P::Ready),
            E::Block => Some(P::Blocked),
            E::Accept => Some(P::Done),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
            E::Freeze => Some(P::Pending),
            E::Supersede => Some(P::Cancelled),
            E::Assign
            | E::Start
            | E::Finish
            | E::Requeue
            | E::Wait
            | E::Enqueue
            | E::Land
            | E::MergeFail
            | E::Free
            | E::Relock
            | E::Exhaust
            | E::Reopen
            | E::Demote => None,
        },
        P::Ready => match event {
            E::Assign => Some(P::Assigned),
            E::Accept => Some(P::Done),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
            E::Freeze => Some(P::Ready),
            E::Demote => Some(P::Pending),
            E::Supersede => Some(P::Cancelled),
            E::Unlock
            | E::Start
            | E::Finish
            | E::Requeue
            | E::Wait
            | E::Enqueue
            | E::Land
            | E::MergeFail
            | E::Block
            | E::Free
            | E::Relock
            | E::Exhaust
            | E::Reopen => None,
        },
        P::Assigned => match event {
            E::Start => Some(P::Running),
            E::Requeue => Some(P::Ready),
            E::Exhaust => Some(P::Failed),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
            E::Freeze => Some(P::Assigned),
            E::Demote => Some(P::Pending),
            E::Supersede => Some(P::Cancelled),
            E::Unlock
            | E::Assign
            | E::Finish
            | E::Wait
            | E::Enqueue
            | E::Land
            | E::MergeFail
            | E::Accept
            | E::Block
            | E::Free
            | E::Relock
            | E::Reopen => None,
        },
        P::Running => match event {
            E::Finish => Some(P::Verifying),
            E::Requeue => Some(P::Ready),
            E::Block => Some(P::Blocked),
            E::Exhaust => Some(P::Failed),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
            E::Freeze => Some(P::Running),
            E::Demote => Some(P::Pending),
            E::Supersede => Some(P::Cancelled),
            E::Unlock
            | E::Assign
            | E::Start
            | E::Wait
            | E::Enqueue
            | E::Land
            | E::MergeFail
            | E::Accept
            | E::Free
            | E::Relock
            | E::Reopen => None,
        },
        P::Verifying => match event {
            E::Wait => Some(P::Waiting),
            E::Enqueue => Some(P::Merging),
            E::Requeue => Some(P::Ready),
            E::Block => Some(P::Blocked),
            E::Exhaust => Some(P::Failed),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
            E::Freeze => Some(P::Verifying),
            E::Demote => Some(P::Pending),
            E::Supersede => Some(P::Cancelled),
            E::Unlock
            | E::Assign
            | E::Start
            | E::Finish
            | E::Land
            | E::MergeFail
            | E::Accept
            | E::Free
            | E::Relock
            | E::Reopen => None,
        },
        P::Waiting => match event {
            E::Enqueue => Some(P::Merging),
            E::Accept => Some(P::Done),
            E::Requeue => Some(P::Ready),
            E::Block => Some(P::Blocked),
            E::Exhaust => Some(P::Failed),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
            E::Freeze => Some(P::Waiting),
            E::Demote => Some(P::Pending),
            E::Supersede => Some(P::Cancelled),
            E::Unlock
            | E::Assign
            | E::Start
            | E::Finish
            | E::Wait
            | E::Land
            | E::MergeFail
            | E::Free
            | E::Relock
            | E::Reopen => None,
        },
        P::Merging => match event {
            E::Land => Some(P::Done),
            E::MergeFail => Some(P::MergeFailed),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
            E::Freeze => Some(P::Merging),
            E::Demote => Some(P::Pending),
            E::Supersede => Some(P::Cancelled),
            E::Unlock
            | E::Assign
            | E::Start
            | E::Finish
            | E::Requeue
            | E::Wait
            | E::Enqueue
            | E::Accept
            | E::Block
            | E::Free
            | E::Relock
            | E::Exhaust
            | E::Reopen => None,
        },
        P::MergeFailed => match event {
            E::Enqueue => Some(P::Merging),
            E::Requeue => Some(P::Ready),
            E::Block => Some(P::Blocked),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
            E::Freeze => Some(P::MergeFailed),
            E::Demote => Some(P::Pending),
            E::Supersede => Some(P::Cancelled),
            E::Unlock
            | E::Assign
            | E::Start
            | E::Finish
            | E::Wait
            | E::Land
            | E::MergeFail
            | E::Accept
            | E::Free
            | E::Relock
            | E::Exhaust
            | E::Reopen => None,
        },
        P::Blocked => match event {
            E::Free => Some(P::Ready),
            E::Relock => Some(P::Pending),
            E::Wait => Some(P::Waiting),
            E::Accept => Some(P::Done),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
            E::Freeze => Some(P::Blocked),
            E::Demote => Some(P::Pending),
            E::Supersede => Some(P::Cancelled),
            E::Unlock
            | E::Assign
            | E::Start
            | E::Finish
            | E::Requeue
            | E::Enqueue
            | E::Land
            | E::MergeFail
            | E::Block
            | E::Exhaust
            | E::Reopen => None,
        },
        P::Held => match event {
            E::Accept => Some(P::Done),
            E::Cancel => Some(P::Cancelled),
            E::Demote => Some(P::Pending),
            E::Supersede => Some(P::Cancelled),
            E::Unlock
            | E::Assign
            | E::Start
            | E::Finish
            | E::Requeue
            | E::Wait
            | E::Enqueue
            | E::Land
            | E::MergeFail
            | E::Block
            | E::Free
            | E::Relock
            | E::Exhaust
            | E::Hold
            | E::Reopen
            | E::Freeze => None,
        },
        P::Failed => match event {
            E::Free => Some(P::Ready),
            E::Cancel => Some(P::Cancelled),
            E::Supersede => Some(P::Cancelled),
            E::Unlock
            | E::Relock
            | E::Assign
            | E::Start
            | E::Finish
            | E::Requeue
            | E::Wait
            | E::Enqueue
            | E::Land
            | E::MergeFail
            | E::Accept
            | E::Block
            | E::Exhaust
            | E::Hold
            | E::Reopen
            | E::Freeze
            | E::Demote => None,
        },
        P::Done => match event {
            E::Reopen => Some(P::Done),
            E::Unlock
            | E::Assign
            | E::Start
            | E::Finish
            | E::Requeue
            | E::Wait
            | E::Enqueue
            | E::Land
            | E::MergeFail
            | E::Accept
            | E::Block
            | E::Free
            | E::Relock
            | E::Exhaust
            | E::Hold
            | E::Freeze
            | E::Demote
            | E::Cancel
            | E::Supersede => None,
        },
        P::Cancelled => match event {
            E::Unlock
            | E::Assign
            | E::Start
            | E::Finish
            | E::Requeue
            | E::Wait
            | E::Enqueue
            | E::Land
            | E::MergeFail
            | E::Accept
            | E::Block
            | E::Free
            | E::Relock
            | E::Exhaust
            | E::Hold
            | E::Freeze
            | E::Demote
            | E::Cancel
            | E::Supersede
            | E::Reopen => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `.` is refused. Two letters a state: pe re as ru ve wa me mf do bl he fa ca.
    const TABLE: &str = "
        state unlock assign start finish requeue wait enqueue land mergefail accept block free relock exhaust hold freeze demote cancel supersede reopen
        pe    re     .      .     .      .       .    .       .    .         do     bl    .    .      .       he   pe     .      ca     ca        .
        re    .      as     .     .      .       .    .       .    .         do     .     .    .      .       he   re     pe     ca     ca        .
        as    .      .      ru    .      re      .    .       .    .         .      .     .    .      fa      he   as     pe     ca     ca        .
        ru    .      .      .     ve     re      .    .       .    .         .      bl    .    .      fa      he   ru     pe     ca     ca        .
        ve    .      .      .     .      re      wa   me      .    .         .      bl    .    .      fa      he   ve     pe     ca     ca        .
        wa    .      .      .     .      re      .    me      .    .         do     bl    .    .      fa      he   wa     pe     ca     ca        .
        me    .      .      .     .      .       .    .       do   mf        .      .     .    .      .       he   me     pe     ca     ca        .
        mf    .      .      .     .      re      .    me      .    .         .      bl    .    .      .       he   mf     pe     ca     ca        .
        do    .      .      .     .      .       .    .       .    .         .      .     .    .      .       .    .      .      .      .         do
        bl    .      .      .     .      .       wa   .       .    .         do     .     re   pe     .       he   bl     pe     ca     ca        .
        he    .      .      .     .      .       .    .       .    .         do     .     .    .      .       .    .      pe     ca     ca        .
        fa    .      .      .     .      .       .    .       .    .         .      .     re   .      .       .    .      .      ca     ca        .
        ca    .      .      .     .      .       .    .       .    .         .      .     .    .      .       .    .      .      .      .         .";

    fn code(phase: Phase) -> &'static str {
        match phase {
            Phase::MergeFailed => "mf",
            other => &other.name()[..2],
        }
    }

    #[test]
    fn every_state_answers_every_event_as_the_table_says() {
        let mut lines = TABLE.lines().skip(1).map(|l| l.split_whitespace().collect::<Vec<_>>());
        let header = lines.next().unwrap();
        let events: Vec<String> = ItemEvent::ALL.iter().map(|e| format!("{e:?}").to_lowercase()).collect();
        assert_eq!(header[1..], events, "the header names the events");
        let rows: Vec<_> = lines.collect();
        assert_eq!(rows.len(), Phase::ALL.len());
        for (row, from) in rows.iter().zip(Phase::ALL) {
            assert_eq!(row[0], code(from));
            for (cell, event) in row[1..].iter().zip(ItemEvent::ALL) {
                let to = moved(from, event).map_or(".", code);
                assert_eq!(&to, cell, "{from:?} on {event:?}");
            }
        }
    }
}
