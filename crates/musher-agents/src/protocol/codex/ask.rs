//! What codex asks of its client, and the answers.

use musher_core::approval::{Action, Ask};
use serde_json::{Value, json};

use super::super::reference::References;
use super::super::{Observation, Say};
use super::item::Items;
use super::line;

/// The questions of a run that are open.
#[derive(Debug)]
pub(super) struct Asks {
    /// Whether musher is asked. Otherwise every yes is given here.
    asks: bool,
    open: Vec<Open>,
    references: References,
}

#[derive(Debug)]
struct Open {
    reference: String,
    /// The id as codex has it: a number, or a text.
    id: Value,
    /// The turn that waits for it.
    turn: String,
    sort: Sort,
    /// What it is answered, once that is known.
    allow: Option<bool>,
}

/// What sort of answer a question takes.
#[derive(Debug)]
enum Sort {
    /// A decision: commands and changes of files.
    Decision,
    /// An action: the use of an MCP server's tool.
    Elicitation,
    /// The permissions that it may have, of those that it asked for.
    Permissions(Value),
    /// Nothing that musher can decide: it gets this answer.
    Refusal(Value),
}

impl Asks {
    pub(super) fn new(asks: bool) -> Self {
        Self { asks, open: Vec::new(), references: References::default() }
    }

    /// Takes a request of codex. Whatever it is gets an answer, for codex waits for it without an end.
    pub(super) fn hear(
        &mut self,
        method: &str,
        id: &Value,
        params: &Value,
        items: &Items,
        seen: &mut Vec<Observation>,
    ) {
        let reference = self.references.next(id);
        let (sort, action) = question(method, params, items);
        let allow = (!self.asks || action.is_none()).then_some(true);
        if let Some(action) = action.filter(|_| self.asks) {
            seen.push(Observation::PermissionAsked(Ask { reference: reference.clone().into(), action }));
        }
        let turn = params["turnId"].as_str().unwrap_or_default().to_owned();
        self.open.push(Open { reference, id: id.clone(), turn, sort, allow });
    }

    /// Takes musher's answer. False if that is not open.
    pub(super) fn answer(&mut self, reference: &str, allow: bool) -> bool {
        match self.open.iter_mut().find(|open| open.reference == reference && open.allow.is_none()) {
            Some(open) => {
                open.allow = Some(allow);
                true
            }
            None => false,
        }
    }

    pub(super) fn say(&self) -> Option<Say> {
        self.open.iter().find_map(|open| {
            let mut answer = open.answer(open.allow?);
            answer["id"] = open.id.clone();
            Some(line(&open.key(), &answer))
        })
    }

    /// Whether this is the key of an answer; then that is said.
    pub(super) fn said(&mut self, key: &str) -> bool {
        self.open.retain(|open| open.key() != key);
        key.starts_with(ANSWER) || key.starts_with(REFUSE)
    }

    /// Codex needs no answer to this any more.
    pub(super) fn resolved(&mut self, id: &Value, seen: &mut Vec<Observation>) {
        self.close(|open| open.id == *id, seen);
    }

    /// A turn that is over needs no answers. It does not say so itself when it was interrupted.
    pub(super) fn turn_completed(&mut self, turn: &str, seen: &mut Vec<Observation>) {
        self.close(|open| open.turn == turn, seen);
    }

    fn close(&mut self, which: impl Fn(&Open) -> bool, seen: &mut Vec<Observation>) {
        let asks = self.asks;
        self.open.retain(|open| {
            let closes = which(open);
            if closes && asks && !matches!(open.sort, Sort::Refusal(_)) {
                seen.push(Observation::PermissionGone(open.reference.clone()));
            }
            !closes
        });
    }
}

impl Open {
    fn key(&self) -> String {
        let prefix = if matches!(self.sort, Sort::Refusal(_)) { REFUSE } else { ANSWER };
        format!("{prefix}{}", self.reference)
    }

    fn answer(&self, allow: bool) -> Value {
        match (&self.sort, allow) {
            (Sort::Decision, true) => json!({"result": {"decision": "accept"}}),
            (Sort::Decision, false) => json!({"result": {"decision": "decline"}}),
            (Sort::Elicitation, true) => json!({"result": {"action": "accept", "content": {}}}),
            (Sort::Elicitation, false) => json!({"result": {"action": "decline"}}),
            (Sort::Permissions(wanted), true) => json!({"result": {"permissions": wanted, "scope": "turn"}}),
            (Sort::Permissions(_), false) => json!({"result": {"permissions": {}}}),
            (Sort::Refusal(answer), true | false) => answer.clone(),
        }
    }
}

/// The sort of a request, and what it asks for if musher can decide that.
fn question(method: &str, params: &Value, items: &Items) -> (Sort, Option<Action>) {
    let id = params["itemId"].as_str().unwrap_or_default();
    match method {
        "item/commandExecution/requestApproval" => (Sort::Decision, Some(command(params))),
        "item/fileChange/requestApproval" => {
            let mut paths = items.paths(id);
            paths.extend(params["grantRoot"].as_str().map(Into::into));
            let unknown = || Action::Other("edit".into(), params.to_string().into());
            let action = if paths.is_empty() { unknown() } else { Action::Edit(paths.into()) };
            (Sort::Decision, Some(action))
        }
        "item/permissions/requestApproval" => {
            let wanted = &params["permissions"];
            let asked = json!({"permissions": wanted, "reason": params["reason"]});
            let action = Action::Other("permissions".into(), asked.to_string().into());
            (Sort::Permissions(wanted.clone()), Some(action))
        }
        "mcpServer/elicitation/request" if params["_meta"]["codex_approval_kind"] == "mcp_tool_call" => {
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let name = format!("{}.{}", word(&params["serverName"]), word(&params["_meta"]["tool_name"]));
            let arguments = params["_meta"]["tool_params"].to_string();
            (Sort::Elicitation, Some(Action::Other(name.into(), arguments.into())))
        }
        "mcpServer/elicitation/request" => (Sort::Refusal(json!({"result": {"action": "decline"}})), None),
        "item/tool/requestUserInput" => (Sort::Refusal(json!({"result": {"answers": {}}})), None),
        // Open by nature; an error lets codex go on.
        _ => {
            let error = json!({"code": -32601, "message": "musher has no such method"});
            (Sort::Refusal(json!({"error": error})), None)
        }
    }
}

fn command(params: &Value) -> Action {
    if let Some(command) = params["command"].as_str() {
        return Action::Shell(command.into());
    }
    let network = &params["networkApprovalContext"];
    match (network["protocol"].as_str(), network["host"].as_str()) {
        (Some(protocol), Some(host)) => Action::Fetch(format!("{protocol}://{host}").into()),
        (_, _) => Action::Other("command".into(), params.to_string().into()),
    }
}

const ANSWER: &str = "answer:";
const REFUSE: &str = "refuse:";
