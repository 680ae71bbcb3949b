//! The drivers and the presets: how a program is spoken to, by name.

/// How a driver speaks to its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// It starts any program and reads what it leaves.
    Command,
    /// The program is spoken to while it works: it is asked, answered and told things.
    TwoWay,
    /// The program is only listened to.
    OneWay,
}

/// A driver or a preset.
#[derive(Clone, Copy, Debug)]
pub struct Driver {
    /// Its name in the configuration.
    pub name: &'static str,
    /// The driver that does the work; another name than its own makes it a preset.
    pub by: &'static str,
    /// How it speaks.
    pub speech: Speech,
    /// Whether it can be given musher's tools.
    pub tools: bool,
    /// The program that is started when the configuration names none; empty = `command` must name it.
    pub command: &'static [&'static str],
}

const fn driver(name: &'static str, by: &'static str, speech: Speech, command: &'static [&'static str]) -> Driver {
    Driver { name, by, speech, tools: takes_mcp(by), command }
}

/// Whether a driver has a way to hand its program an MCP server. The Gemini CLI reads them from its own settings alone.
const fn takes_mcp(by: &str) -> bool {
    !matches!(by.as_bytes(), b"command" | b"gemini")
}

/// All of them. The command lines of the presets are those of their programs' own documentation.
pub const DRIVERS: &[Driver] = &[
    driver("command", "command", Speech::Command, &[]),
    driver("acp", "acp", Speech::TwoWay, &[]),
    driver("claude", "claude", Speech::TwoWay, &["claude"]),
    driver("codex", "codex", Speech::TwoWay, &["codex"]),
    driver("codex-exec", "codex-exec", Speech::OneWay, &["codex"]),
    driver("opencode", "opencode", Speech::OneWay, &["opencode"]),
    driver("gemini", "gemini", Speech::OneWay, &["gemini"]),
    driver("qwen", "qwen", Speech::OneWay, &["qwen"]),
    driver("copilot", "acp", Speech::TwoWay, &["copilot", "--acp"]),
    driver("cursor", "acp", Speech::TwoWay, &["cursor-agent", "acp"]),
    driver("auggie", "acp", Speech::TwoWay, &["auggie", "--acp"]),
    driver(
        "aider",
        "command",
        Speech::Command,
        &[
            "aider",
            "--yes-always",
            "--no-pretty",
            "--no-check-update",
            "--no-auto-commits",
            "--message-file",
            "{prompt_file}",
        ],
    ),
];

/// The driver of this name.
pub fn named(name: &str) -> Option<&'static Driver> {
    DRIVERS.iter().find(|driver| driver.name == name)
}

/// The name under which the use of an agent is counted that states no model: its driver's, for which model its program
/// takes by default depends on its version and account.
pub fn default_model(name: &str) -> &str {
    named(name).map_or("unknown", |driver| driver.name)
}

/// Whether a running agent of this driver can be told something.
pub fn takes_messages(name: &str) -> bool {
    named(name).is_some_and(|driver| driver.speech == Speech::TwoWay)
}

/// Whether an agent of this driver is given musher's tools.
pub fn takes_tools(name: &str) -> bool {
    named(name).is_some_and(|driver| driver.tools)
}
