//! What simulated agents do with musher's tools: everything that they can, some of it twice.

use musher_core::command::Answer;
use musher_core::id::{CallId, RunId};
use musher_core::item::Kind;
use musher_core::message::{NewMessage, Sort, Urgency};
use musher_core::mission::AddItem;
use musher_core::run::Verdict;
use musher_core::tool::{Submitted, ToolUse};

use super::{Happening, MS, Night, SECOND};
use crate::failure::Broken;

impl Night {
    /// An agent that works for so long uses some tools meanwhile. Answers are lost at times, and then it asks again.
    pub(super) fn use_tools(&mut self, run: RunId, takes: i64) {
        for _ in 0..self.chance.below(4) {
            let tool = Box::new(self.tool());
            let at = 40 * MS + self.chance.between(0, takes);
            if self.chance.one_in(3) {
                let again = at + self.chance.between(MS, 20 * SECOND);
                self.push(again, Happening::Tool { run, tool: tool.clone() });
            }
            self.push(at, Happening::Tool { run, tool });
        }
    }

    fn call(&mut self) -> CallId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.chance.below(u64::MAX).to_le_bytes());
        bytes[8..].copy_from_slice(&self.order.to_le_bytes());
        CallId::from_bytes(bytes)
    }

    fn tool(&mut self) -> ToolUse {
        let id = self.call();
        match self.chance.below(8) {
            0 => ToolUse::ReportProgress("half way".into()),
            1 => ToolUse::AskOperator(format!("which of {}?", self.chance.below(3)).into()),
            2 => ToolUse::AddItem(Box::new(AddItem {
                call: id,
                title: "something else".into(),
                body: "do it".into(),
                kind: Kind::Followup,
                role: None,
                labels: Box::default(),
                touches: Box::default(),
                depends_on: self.chance.one_in(2).then(Vec::new),
            })),
            3 => ToolUse::SubmitResult(Box::new(Submitted { summary: "all done".into(), ..Submitted::default() })),
            4 => ToolUse::Review(Verdict::Approved("good".into())),
            5 | 6 => ToolUse::SendMessage(Box::new(NewMessage {
                id,
                to: format!("i{}", self.chance.below(4)).into(),
                sort: Sort::Info,
                urgency: *self.chance.clone().pick(&Urgency::ALL).unwrap_or(&Urgency::Normal),
                text: "mind the tests".into(),
            })),
            _ => ToolUse::ReadMessages(id),
        }
    }

    /// An agent was told what came of a use: the same use has the same item, and no two have one.
    pub(super) fn told(&mut self, tool: &ToolUse, answer: &Answer) -> Result<(), Broken> {
        let (ToolUse::AddItem(wish), Answer::Item(id)) = (tool, answer) else { return Ok(()) };
        let taken = self.added.iter().any(|(call, item)| item == id && *call != wish.call);
        let before = *self.added.entry(wish.call).or_insert(*id);
        if before != *id || taken {
            return Err(Broken::safety(*id, "one use of a tool added two items, or two uses added one"));
        }
        Ok(())
    }
}
