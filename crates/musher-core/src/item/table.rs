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
    /// Nobody will do it.
    Cancel,
}

impl ItemEvent {
    /// Every event, in the order of the table.
    pub const ALL: [Self; 16] = [
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
        Self::Cancel,
    ];
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
            | E::Exhaust => None,
        },
        P::Ready => match event {
            E::Assign => Some(P::Assigned),
            E::Accept => Some(P::Done),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
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
            | E::Exhaust => None,
        },
        P::Assigned => match event {
            E::Start => Some(P::Running),
            E::Requeue => Some(P::Ready),
            E::Exhaust => Some(P::Failed),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
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
            | E::Relock => None,
        },
        P::Running => match event {
            E::Finish => Some(P::Verifying),
            E::Requeue => Some(P::Ready),
            E::Block => Some(P::Blocked),
            E::Exhaust => Some(P::Failed),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
            E::Unlock
            | E::Assign
            | E::Start
            | E::Wait
            | E::Enqueue
            | E::Land
            | E::MergeFail
            | E::Accept
            | E::Free
            | E::Relock => None,
        },
        P::Verifying => match event {
            E::Wait => Some(P::Waiting),
            E::Enqueue => Some(P::Merging),
            E::Requeue => Some(P::Ready),
            E::Block => Some(P::Blocked),
            E::Exhaust => Some(P::Failed),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
            E::Unlock | E::Assign | E::Start | E::Finish | E::Land | E::MergeFail | E::Accept | E::Free | E::Relock => {
                None
            }
        },
        P::Waiting => match event {
            E::Enqueue => Some(P::Merging),
            E::Accept => Some(P::Done),
            E::Requeue => Some(P::Ready),
            E::Block => Some(P::Blocked),
            E::Exhaust => Some(P::Failed),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
            E::Unlock | E::Assign | E::Start | E::Finish | E::Wait | E::Land | E::MergeFail | E::Free | E::Relock => {
                None
            }
        },
        P::Merging => match event {
            E::Land => Some(P::Done),
            E::MergeFail => Some(P::MergeFailed),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
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
            | E::Exhaust => None,
        },
        P::MergeFailed => match event {
            E::Enqueue => Some(P::Merging),
            E::Requeue => Some(P::Ready),
            E::Block => Some(P::Blocked),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
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
            | E::Exhaust => None,
        },
        P::Blocked => match event {
            E::Free => Some(P::Ready),
            E::Relock => Some(P::Pending),
            E::Wait => Some(P::Waiting),
            E::Accept => Some(P::Done),
            E::Hold => Some(P::Held),
            E::Cancel => Some(P::Cancelled),
            E::Unlock
            | E::Assign
            | E::Start
            | E::Finish
            | E::Requeue
            | E::Enqueue
            | E::Land
            | E::MergeFail
            | E::Block
            | E::Exhaust => None,
        },
        P::Held => match event {
            E::Accept => Some(P::Done),
            E::Cancel => Some(P::Cancelled),
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
            | E::Hold => None,
        },
        P::Failed => match event {
            E::Free => Some(P::Ready),
            E::Cancel => Some(P::Cancelled),
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
            | E::Hold => None,
        },
        P::Done | P::Cancelled => match event {
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
            | E::Cancel => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `.` is refused. Two letters a state: pe re as ru ve wa me mf do bl he fa ca.
    const TABLE: &str = "
        state unlock assign start finish requeue wait enqueue land mergefail accept block free relock exhaust hold cancel
        pe    re     .      .      .      .      .      .      .      .      do     bl     .      .      .      he     ca
        re    .      as     .      .      .      .      .      .      .      do     .      .      .      .      he     ca
        as    .      .      ru     .      re     .      .      .      .      .      .      .      .      fa     he     ca
        ru    .      .      .      ve     re     .      .      .      .      .      bl     .      .      fa     he     ca
        ve    .      .      .      .      re     wa     me     .      .      .      bl     .      .      fa     he     ca
        wa    .      .      .      .      re     .      me     .      .      do     bl     .      .      fa     he     ca
        me    .      .      .      .      .      .      .      do     mf     .      .      .      .      .      he     ca
        mf    .      .      .      .      re     .      me     .      .      .      bl     .      .      .      he     ca
        do    .      .      .      .      .      .      .      .      .      .      .      .      .      .      .      .
        bl    .      .      .      .      .      wa     .      .      .      do     .      re     pe     .      he     ca
        he    .      .      .      .      .      .      .      .      .      do     .      .      .      .      .      ca
        fa    .      .      .      .      .      .      .      .      .      .      .      re     .      .      .      ca
        ca    .      .      .      .      .      .      .      .      .      .      .      .      .      .      .      .";

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
