//! The program that shows notifications. It is started without a shell; what it is to show are arguments, never code.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use musher_core::quote::visible;
use tokio::process::Command;

use super::webhook::Failed;

/// How long it may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How much of what was said is shown, in characters.
const LONGEST_TEXT: usize = 400;
/// The longest title, in characters.
const LONGEST_TITLE: usize = 80;
/// The longest reply that is named, in characters.
const LONGEST_REPLY: usize = 120;
/// How much of the program's complaint is shown, in characters.
const COMPLAINT: usize = 200;

/// What is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) title: String,
    pub(super) text: String,
    /// Whether it goes by itself.
    pub(super) passing: bool,
}

impl Notice {
    /// What somebody said, what it is about, and the commands that answer it; only the first is cut.
    pub(super) fn text(said: &str, place: &str, replies: &[String]) -> String {
        let said = cut(&visible(said), LONGEST_TEXT);
        let replies = replies.iter().map(|reply| cut(&visible(reply), LONGEST_REPLY));
        let lines = [said.trim().to_owned(), place.to_owned()].into_iter().chain(replies);
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

/// How notifications are shown on this machine.
#[derive(Clone, Debug)]
pub struct Notifier {
    program: PathBuf,
    sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// Of libnotify: it tells a number, by which a notification is edited.
    NotifySend,
    /// Of macOS: a script that takes its words as arguments.
    Osascript,
}

impl Notifier {
    /// The one of this system; whether it is there shows when it is started.
    #[must_use]
    pub fn of_this_machine() -> Self {
        if cfg!(target_os = "macos") {
            Self { program: "osascript".into(), sort: Sort::Osascript }
        } else {
            Self { program: "notify-send".into(), sort: Sort::NotifySend }
        }
    }

    /// The name of the program.
    #[must_use]
    pub fn program(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    /// How to get it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self.sort {
            Sort::NotifySend => {
                "install `libnotify-bin` (Debian, Ubuntu) or `libnotify`, or take the sink out of musher.toml"
            }
            Sort::Osascript => {
                "it is part of macOS: look at the PATH of the daemon, or take the sink out of musher.toml"
            }
        }
    }

    /// Whether the program is on the `PATH` of this process.
    #[must_use]
    pub fn is_there(&self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(&self.program).is_file())
    }

    /// Shows it, in the place of the one of this number if there is one; its number, if it has any.
    pub(super) async fn show(&self, notice: &Notice, instead_of: Option<u32>) -> Result<Option<u32>, Failed> {
        let name = self.program();
        let mut command = Command::new(&self.program);
        command.args(self.arguments(notice, instead_of)).stdin(Stdio::null()).kill_on_drop(true);
        let done = match tokio::time::timeout(TIMEOUT, command.output()).await {
            Ok(done) => done,
            Err(_) => return Err(Failed::because(format_args!("`{name}` did not end within {} s", TIMEOUT.as_secs()))),
        };
        let output = done.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Failed::because(format_args!("`{name}` is not on the PATH of the daemon: {}", self.fix()))
            }
            _ => Failed::because(format_args!("`{name}` cannot be started: {error}")),
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = cut(&visible(said.trim().lines().next().unwrap_or_default()), COMPLAINT);
            return Err(Failed::because(format_args!("`{name}`: {}: {said}{}", output.status, self.advice())));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().parse().ok().filter(|number| *number != 0))
    }

    fn advice(&self) -> &'static str {
        match self.sort {
            Sort::NotifySend => {
                " (it must be of libnotify 0.8 or later, and the daemon be started from a terminal of the desktop)"
            }
            Sort::Osascript => "",
        }
    }

    fn arguments(&self, notice: &Notice, instead_of: Option<u32>) -> Vec<String> {
        let title = cut(&one_line(&visible(&notice.title)), LONGEST_TITLE);
        let mut arguments: Vec<String> = Vec::new();
        match self.sort {
            Sort::NotifySend => {
                let urgency = if notice.passing { "low" } else { "normal" };
                arguments.extend(["--app-name=musher", "--print-id"].map(str::to_owned));
                arguments.push(format!("--urgency={urgency}"));
                arguments.extend(instead_of.map(|number| format!("--replace-id={number}")));
                if notice.passing {
                    arguments.extend(["--transient", "--expire-time=3000"].map(str::to_owned));
                }
                // The text is markup there, the title is not.
                arguments.extend(["--".to_owned(), title, escaped(&visible(&notice.text))]);
            }
            Sort::Osascript => {
                for line in SCRIPT {
                    arguments.extend(["-e".to_owned(), line.to_owned()]);
                }
                // A title begins with a word of musher's own, so neither is taken for an option.
                arguments.extend([title, visible(&notice.text)]);
            }
        }
        arguments
    }

    /// A program that stands in for `notify-send`, or for `osascript`.
    #[cfg(test)]
    pub(super) fn at(program: PathBuf, is_osascript: bool) -> Self {
        Self { program, sort: if is_osascript { Sort::Osascript } else { Sort::NotifySend } }
    }
}

/// Takes its words from the arguments, so that no text can become a script.
const SCRIPT: [&str; 3] =
    ["on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run"];

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
        None => text.to_owned(),
    }
}

/// Text that a notification shows as it is, and that cannot bring a link or a picture.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
