//! The agents under test: their programs, their configuration, their environment. What was measured of them decides.

use std::path::Path;

use serde_json::json;

use crate::install::{installed, program};

/// An agent and the way it is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Codex,
    /// Codex as a plain command, with no driver of its own.
    CodexCommand,
    CodexAcp,
    Claude,
    ClaudeAcp,
    Opencode,
    OpencodeAcp,
    Gemini,
    GeminiAcp,
    Qwen,
    QwenAcp,
}

/// How much of what it used an agent tells its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reports {
    /// Every token of its conversation.
    All,
    /// Every token, but not which of them were read and which written.
    Sum,
    /// Less than that: only the last step, or nothing.
    Some,
    /// The conversation and its side requests.
    Aside,
}

/// The native program of Codex.
const CODEX: &str = "@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex";

/// What makes it do one prompt and end.
const CODEX_EXEC: &[&str] = &["exec", "--json", "--disable", "plugins", "--skip-git-repo-check"];

/// A variable of an agent's environment.
type Variable = (&'static str, String);

impl Kind {
    /// The agent's name in `musher.toml` and in the model's URLs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Codex => "codex",
            Self::CodexCommand => "codex-command",
            Self::CodexAcp => "codex-acp",
            Self::Claude => "claude",
            Self::ClaudeAcp => "claude-acp",
            Self::Opencode => "opencode",
            Self::OpencodeAcp => "opencode-acp",
            Self::Gemini => "gemini",
            Self::GeminiAcp => "gemini-acp",
            Self::Qwen => "qwen",
            Self::QwenAcp => "qwen-acp",
        }
    }

    /// The driver's name in `musher.toml`.
    pub(crate) fn driver(self) -> &'static str {
        match self {
            Self::Codex => "codex",
            Self::CodexCommand => "command",
            Self::Claude => "claude",
            Self::Opencode => "opencode",
            Self::Gemini => "gemini",
            Self::Qwen => "qwen",
            Self::CodexAcp | Self::ClaudeAcp | Self::OpencodeAcp | Self::GeminiAcp | Self::QwenAcp => "acp",
        }
    }

    /// What it tells of its tokens.
    pub(crate) fn reports(self) -> Reports {
        match self {
            Self::Codex | Self::Claude | Self::ClaudeAcp | Self::Opencode | Self::Gemini | Self::GeminiAcp => {
                Reports::All
            }
            Self::CodexAcp => Reports::Sum,
            Self::CodexCommand | Self::OpencodeAcp | Self::QwenAcp => Reports::Some,
            Self::Qwen => Reports::Aside,
        }
    }

    /// The model's name, as this agent wants it.
    pub(crate) fn model(self) -> &'static str {
        match self {
            // Others of this vendor's names make it offer no tools.
            Self::Codex | Self::CodexCommand | Self::CodexAcp => "gpt-5.5",
            Self::Claude | Self::ClaudeAcp => "claude-sonnet-4-5",
            Self::Opencode | Self::OpencodeAcp => "fake/fake-model",
            Self::Gemini | Self::GeminiAcp => "gemini-2.5-flash",
            Self::Qwen | Self::QwenAcp => "fake-model",
        }
    }

    /// The program, without what a driver adds to it; none when it is not installed.
    ///
    /// Native programs, not their wrappers: a wrapper leaves them behind when it is ended.
    pub(crate) fn command(self) -> Option<Vec<String>> {
        let native = |path: &str, arguments: &[&str]| {
            let mut command = vec![installed(path)?];
            command.extend(arguments.iter().map(|a| (*a).to_owned()));
            Some(command)
        };
        let node = |path: &str, arguments: &[&str]| {
            let mut command = native(path, arguments)?;
            command.insert(0, program("node")?);
            Some(command)
        };
        match self {
            Self::Codex => native(CODEX, &[]),
            Self::CodexCommand => native(CODEX, &[CODEX_EXEC, &["{prompt}"]].concat()),
            Self::CodexAcp => native("@zed-industries/codex-acp-linux-x64/bin/codex-acp", &[]),
            Self::Claude => native("@anthropic-ai/claude-code-linux-x64/claude", &[]),
            Self::ClaudeAcp => node("@agentclientprotocol/claude-agent-acp/dist/index.js", &[]),
            Self::Opencode => native("opencode-linux-x64/bin/opencode", &[]),
            Self::OpencodeAcp => native("opencode-linux-x64/bin/opencode", &["acp"]),
            Self::Gemini => node("@google/gemini-cli/bundle/gemini.js", &[]),
            Self::GeminiAcp => node("@google/gemini-cli/bundle/gemini.js", &["--acp", "-m", self.model()]),
            Self::Qwen => node("@qwen-code/qwen-code/cli.js", &[]),
            Self::QwenAcp => node("@qwen-code/qwen-code/cli.js", &["--acp", "--auth-type", "openai"]),
        }
    }

    /// Arguments that are added for the program to do one prompt by itself, without musher.
    pub(crate) fn alone(self, prompt: &str) -> Vec<String> {
        let arguments: &[&str] = match self {
            Self::Codex => &[CODEX_EXEC, &[prompt]].concat(),
            Self::Claude => &[
                "-p",
                prompt,
                "--output-format",
                "stream-json",
                "--verbose",
                "--model",
                self.model(),
                "--dangerously-skip-permissions",
            ],
            Self::Opencode => &["run", "--pure", "--format", "json", prompt],
            Self::Gemini => {
                &["-p", prompt, "--output-format", "stream-json", "--approval-mode", "yolo", "-m", self.model()]
            }
            Self::Qwen => {
                &[prompt, "--output-format", "stream-json", "--approval-mode", "yolo", "--auth-type", "openai"]
            }
            Self::CodexCommand
            | Self::CodexAcp
            | Self::ClaudeAcp
            | Self::OpencodeAcp
            | Self::GeminiAcp
            | Self::QwenAcp => &[],
        };
        arguments.iter().map(|a| (*a).to_owned()).collect()
    }

    /// Writes its configuration below `home`, for the model at `url`.
    pub(crate) fn configure(self, home: &Path, url: &str) {
        let (file, text) = match self {
            Self::Codex | Self::CodexCommand | Self::CodexAcp => ("codex/config.toml", codex_config(url)),
            Self::Gemini | Self::GeminiAcp => (".gemini/settings.json", gemini_settings()),
            Self::Qwen | Self::QwenAcp => (".qwen/settings.json", qwen_settings()),
            Self::Claude | Self::ClaudeAcp => ("claude/.keep", String::new()),
            Self::Opencode | Self::OpencodeAcp => {
                ("xdg/XDG_CONFIG_HOME/opencode/opencode.json", opencode_config(url, self == Self::OpencodeAcp))
            }
        };
        let file = home.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// What it needs in its environment, `HOME` apart.
    pub(crate) fn environment(self, home: &Path, url: &str) -> Vec<Variable> {
        let below = |name: &str| home.join(name).to_string_lossy().into_owned();
        let fixed = |pairs: &[(&'static str, &str)]| -> Vec<Variable> {
            pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
        };
        let mut all;
        match self {
            Self::Codex | Self::CodexCommand | Self::CodexAcp => {
                all = fixed(&[("FAKE_KEY", "sk-fake")]);
                all.push(("CODEX_HOME", below("codex")));
            }
            Self::Claude | Self::ClaudeAcp => {
                all = fixed(&[
                    ("ANTHROPIC_API_KEY", "sk-ant-fake"),
                    ("ANTHROPIC_BASE_URL", url),
                    ("ANTHROPIC_MODEL", self.model()),
                    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
                    ("CLAUDE_CODE_MAX_RETRIES", "2"),
                    ("DISABLE_TELEMETRY", "1"),
                    ("DISABLE_ERROR_REPORTING", "1"),
                    ("DISABLE_AUTOUPDATER", "1"),
                    // Without it, root is refused what a headless run needs.
                    ("IS_SANDBOX", "1"),
                ]);
                all.push(("CLAUDE_CONFIG_DIR", below("claude")));
            }
            Self::Opencode | Self::OpencodeAcp => {
                all = fixed(&[
                    ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
                    ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
                    ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
                    ("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1"),
                ]);
                for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"] {
                    all.push((name, below(&format!("xdg/{name}"))));
                }
            }
            Self::Gemini | Self::GeminiAcp => {
                all = fixed(&[
                    ("GEMINI_API_KEY", "fake"),
                    ("GOOGLE_GEMINI_BASE_URL", url),
                    ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
                    // Otherwise there are two processes, and the first is deaf to signals.
                    ("GEMINI_CLI_NO_RELAUNCH", "true"),
                ]);
            }
            Self::Qwen | Self::QwenAcp => {
                all = fixed(&[
                    ("OPENAI_API_KEY", "sk-fake"),
                    ("OPENAI_BASE_URL", &format!("{url}/v1")),
                    ("OPENAI_MODEL", self.model()),
                ]);
            }
        }
        all
    }
}

fn codex_config(url: &str) -> String {
    format!(
        r#"model = "gpt-5.5"
model_provider = "fake"
check_for_update_on_startup = false
approval_policy = "never"
sandbox_mode = "danger-full-access"

[model_providers.fake]
name = "fake"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "FAKE_KEY"
request_max_retries = 0
stream_max_retries = 0

[features]
plugins = false

[analytics]
enabled = false

[otel]
exporter = "none"
"#
    )
}

/// Over ACP it asks before it acts; by itself its own flag says yes.
fn opencode_config(url: &str, asks: bool) -> String {
    let permission = if asks { "ask" } else { "allow" };
    let model = json!({
        "name": "fake-model", "tool_call": true, "cost": {"input": 1, "output": 2, "cache_read": 0.1},
        "limit": {"context": 200_000, "output": 8192},
    });
    let provider = json!({
        "npm": "@ai-sdk/openai-compatible", "name": "fake",
        "options": {"baseURL": format!("{url}/v1"), "apiKey": "sk-fake"}, "models": {"fake-model": model},
    });
    json!({
        "autoupdate": false, "share": "disabled", "enabled_providers": ["fake"], "provider": {"fake": provider},
        "model": "fake/fake-model", "small_model": "fake/fake-model",
        "permission": {"bash": permission, "edit": permission},
    })
    .to_string()
}

fn gemini_settings() -> String {
    json!({
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": false}},
        "privacy": {"usageStatisticsEnabled": false}, "telemetry": {"enabled": false},
        "general": {"disableAutoUpdate": true, "enableAutoUpdate": false, "maxAttempts": 2},
        "ide": {"enabled": false},
    })
    .to_string()
}

fn qwen_settings() -> String {
    json!({
        "security": {"auth": {"selectedType": "openai"}}, "privacy": {"usageStatisticsEnabled": false},
        "telemetry": {"enabled": false}, "general": {"disableAutoUpdate": true},
        "model": {"generationConfig": {"maxRetries": 0}},
    })
    .to_string()
}
