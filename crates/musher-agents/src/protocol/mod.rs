//! The protocols of coding agents, without any I/O: what an agent said goes in, what it means and what it is to be told
//! comes out.
//!
//! The state of a protocol is a fold over the run's spool, in which the host writes down what the agent said *and* what
//! it was told. So it needs no place of its own: after a restart a new daemon makes the same [`Protocol`] from the same
//! [`Brief`], feeds it the spool from the start, and goes on where the last one stopped. Everything that is said to an
//! agent has a key; the host takes a key once, and a key that is in the spool was said.
//!
//! The order of calls: [`hear`](Protocol::hear) every line of the spool; while the run lives, give the host what
//! [`say`](Protocol::say) names, until it names nothing, and hear again; once [`ended`](Protocol::ended) answers, close
//! the agent's input. [`exited`](Protocol::exited) says what an exit means that came before any such end.

pub mod acp;
pub mod claude;
pub mod codex;
pub mod gemini;
pub mod opencode;
pub mod qwen;
mod reference;
mod session;
mod words;

use musher_core::approval::Ask;
use musher_core::run::{FailureClass, Usage};
use musher_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How the program of a driver is started; nothing for a driver that speaks no protocol.
pub fn launch(driver: &str, brief: &Brief) -> Option<Launch> {
    Some(match driver {
        "acp" => acp::launch(brief),
        "claude" => claude::launch(brief),
        "codex" => codex::launch(brief),
        "codex-exec" => codex::exec::launch(brief),
        "opencode" => opencode::launch(brief),
        "gemini" => gemini::launch(brief),
        "qwen" => qwen::launch(brief),
        _ => return None,
    })
}

/// The protocol of a driver, at its beginning; nothing for a driver that speaks none.
pub fn of(driver: &str, brief: &Brief) -> Option<Box<dyn Protocol>> {
    Some(match driver {
        "acp" => acp::protocol(brief),
        "claude" => claude::protocol(brief),
        "codex" => codex::protocol(brief),
        "codex-exec" => codex::exec::protocol(brief),
        "opencode" => opencode::protocol(brief),
        "gemini" => gemini::protocol(brief),
        "qwen" => qwen::protocol(brief),
        _ => return None,
    })
}

/// What is known of a run before it begins. The same after every restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// The prompt.
    pub prompt: String,
    /// The folder that the agent works in, absolute.
    pub worktree: String,
    /// The model, where the agent's own default is not wanted.
    pub model: Option<String>,
    /// The session of an earlier run to go on in.
    pub session: Option<String>,
    /// Whether musher is asked before a tool runs. Otherwise everything is allowed from the start.
    pub asks: bool,
    /// The MCP servers that the agent is given.
    pub mcp: Vec<McpServer>,
}

/// An MCP server that is handed to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpServer {
    /// Its name: of `[a-z0-9_]`.
    pub name: String,
    /// The program and its arguments, spoken to on its standard streams.
    pub command: Vec<String>,
    /// Its environment, besides what the agent passes on.
    pub env: Vec<(String, String)>,
}

/// How a program is started for a protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// The program that is looked for when the agent's configuration names none.
    pub program: &'static str,
    /// Its arguments, after those that the configuration has.
    pub args: Vec<String>,
    /// Variables that it needs to behave; the agent's own configuration wins over these.
    pub env: Vec<(String, String)>,
    /// What is on its standard input from the start, where it is no protocol of lines. Its input then ends there.
    pub stdin: Option<String>,
}

/// A line of the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// A line of the agent's standard output.
    Out(&'a str),
    /// A line of its standard error.
    Err(&'a str),
    /// The agent was told what has this key.
    Said(&'a str),
}

/// Something to tell the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Say {
    /// Its key: it is said once.
    pub key: String,
    /// The text for the agent's input, with the end of its line.
    pub text: String,
}

/// What musher wants of a running agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A message for it, to be read after its present tool call where the protocol can, or at its next turn. Ignored if
    /// one with this key was said before.
    Tell {
        /// The key that it is said under.
        key: String,
        /// The words.
        text: String,
        /// Whether its present turn is interrupted for it.
        now: bool,
    },
    /// The answer to what it asked. Ignored if that is not open.
    Answer {
        /// The reference of the [`Ask`].
        reference: String,
        /// Whether it may.
        allow: bool,
        /// What it is told with a no.
        why: String,
    },
}

/// What an agent's line means.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// It works in this session.
    SessionStarted {
        /// The session's id, as the agent has it.
        id: String,
        /// Whether a later run can go on in it.
        resumable: bool,
    },
    /// It says something to people. Whole texts, or parts of one as they come.
    Text(String),
    /// It thinks aloud.
    Thought(String),
    /// It uses a tool.
    ToolStarted {
        /// The call's id, as the agent has it.
        id: String,
        /// The tool.
        name: String,
        /// The arguments as compact JSON; empty when it does not tell.
        arguments: String,
    },
    /// The tool is done.
    ToolFinished {
        /// The call's id.
        id: String,
        /// Whether it worked.
        ok: bool,
    },
    /// Its plan, an entry a line.
    Plan(Vec<String>),
    /// What it used since it last told. Input counts all that was read, from a cache or not; what of it was, counts besides.
    Usage {
        /// The difference.
        used: Usage,
        /// Whether the agent itself told the cost.
        priced: bool,
    },
    /// It wants to do something that needs a yes.
    PermissionAsked(Ask),
    /// What was asked under this reference needs no answer any more.
    PermissionGone(String),
    /// Its account is used up for now.
    RateLimited {
        /// When it is not any more, if that was told.
        resets_at: Option<Timestamp>,
    },
    /// It tries something again by itself.
    Retrying(String),
    /// It complains of something that does not end it.
    Warning(String),
}

/// How a run ended, by its protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It says that it is done.
    Finished {
        /// Its closing words.
        summary: String,
    },
    /// It failed.
    Failed {
        /// The sort of failure.
        class: FailureClass,
        /// One line.
        message: String,
    },
    /// Its account is used up; nothing is wrong with the work.
    RateLimited {
        /// When it is not any more, if that was told.
        resets_at: Option<Timestamp>,
        /// One line.
        message: String,
    },
    /// The session that it was to go on in is not there any more, and the program cannot begin another by itself.
    SessionLost {
        /// One line.
        message: String,
    },
    /// It was interrupted, and says so.
    Cancelled,
}

/// How an agent's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, if it had one.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

impl Exit {
    /// The exit in words: "exit 1", "signal 9".
    pub fn words(self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no exit code".to_owned(),
        }
    }
}

/// A protocol in the middle of a run. Never panics, whatever it hears.
pub trait Protocol: Send {
    /// Takes a line of the spool, which was written at this moment, and adds what it means.
    fn hear(&mut self, heard: Heard<'_>, at: Timestamp, seen: &mut Vec<Observation>);

    /// What the agent is to be told next, given all that was heard. The same until its key is heard as said. Nothing for
    /// a program that is only listened to.
    fn say(&self) -> Option<Say> {
        None
    }

    /// Takes a wish; what follows from it comes out of [`say`](Self::say). False when the protocol has no way to tell a
    /// running agent this, or when it is too late.
    fn wish(&mut self, _: Wish) -> bool {
        false
    }

    /// Whether a message reaches the agent within its present turn. Otherwise it makes a turn of its own.
    fn hears_within_turn(&self) -> bool {
        false
    }

    /// How it ended, once the agent has said so.
    fn ended(&self) -> Option<&Ended>;

    /// What an exit without such an end means. Never success where the protocol has an end of its own.
    fn exited(&self, exit: Exit) -> Ended;
}
