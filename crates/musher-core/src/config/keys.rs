//! The keys of `musher.toml`.

use super::key::{Key, Shape};
use crate::plan::POLICY;

/// The root.
pub(crate) const ROOT: &[Key] = &[
    Key::new("project", Shape::Table(PROJECT), "", "How work of this repository is made, checked and merged."),
    Key::new("policy", Shape::Table(POLICY), "", "The policy of missions that state none of their own."),
    Key::new("agents", Shape::Tables(AGENT), "", "The agents, one `[[agents]]` each."),
    Key::new(
        "secrets",
        Shape::Secrets,
        "",
        "References to values that are masked in transcripts, logs and events: `name = \"env:NAME\"` or \
         `\"file:PATH\"`.",
    ),
    Key::new("sinks", Shape::Tables(SINK), "", "Who is sent events as they happen, one `[[sinks]]` each."),
    Key::new("schedules", Shape::Tables(SCHEDULE), "", "What happens by itself, one `[[schedules]]` each."),
    Key::new("triggers", Shape::Tables(TRIGGER), "", "What follows by itself on an event, one `[[triggers]]` each."),
    Key::new("forge", Shape::Table(FORGE), "", "Where issues and pull requests are."),
    Key::new(
        "relay",
        Shape::Table(RELAY),
        "",
        "The hub that is told what happens in this project. The variables are `MUSHER_RELAY_URL` and \
         `MUSHER_RELAY_PROJECT`; what a file says wins over them.",
    ),
    Key::new("hub", Shape::Table(HUB), "", "Who may tell this hub, when it is one: `musher up --hub`."),
    Key::new("server", Shape::Table(SERVER), "", "The daemon's HTTP side."),
    Key::new(
        "prices",
        Shape::Named(PRICE),
        "",
        "Prices of models, one `[prices.\"MODEL\"]` each, in dollars for a million tokens: what tokens cost where the \
         agent's program does not tell it. A model that is not here, or that the agent does not name, costs as much as \
         the dearest that is.",
    ),
    Key::new(
        "quota",
        Shape::Table(QUOTA),
        "",
        "What may be used. 0, or no word, is unlimited. `musher quota` shows what is used and what is left.",
    ),
    Key::later("chat"),
    Key::later("prompts"),
];

/// `[project]`.
pub(crate) const PROJECT: &[Key] = &[
    Key::new("base", Shape::Text, "the branch checked out when a mission starts", "The base branch."),
    Key::new(
        "gate",
        Shape::Text,
        "",
        "The command that must exit 0 before work is merged, run by `sh -c`. Without it nothing reaches the base branch.",
    ),
    Key::new("gate_timeout", Shape::Duration(1), "30m", "How long the gate may take."),
    Key::new(
        "delivery",
        Shape::Word(&["merge", "branch", "pr"]),
        "merge",
        "Where verified work goes: into the base branch, into an integration branch of the mission, or into a pull request \
         each, which the forge merges.",
    ),
    Key::new(
        "merge_style",
        Shape::Word(&["squash", "merge", "rebase"]),
        "squash",
        "How an item's work becomes commits.",
    ),
    Key::new(
        "require_checks",
        Shape::Flag,
        "true",
        "Whether a pull request needs at least one check; `false` for a repository without CI.",
    ),
    Key::new(
        "ci_fix_attempts",
        Shape::Whole(0, 100),
        "2",
        "Fix runs for one head commit of a pull request with red checks; an item has at most 5 in all.",
    ),
    Key::new(
        "gate_slots",
        Shape::Whole(1, 64),
        "1",
        "Gates of the merge queue at once, each in a worktree of its own.",
    ),
    Key::new(
        "batch_max",
        Shape::Whole(1, 64),
        "16",
        "The most items of the merge queue that are tested and landed together; 1 merges each alone. A batch under way \
         stays as it is.",
    ),
    Key::new("push", Shape::Flag, "false", "Whether merges are pushed to `origin`."),
    Key::new(
        "commit",
        Shape::Word(&["musher", "agent"]),
        "musher",
        "Who commits what an agent leaves uncommitted; with `agent`, leftovers are a failure.",
    ),
    Key::new(
        "qa",
        Shape::Word(&["server", "agent", "human"]),
        "server",
        "Who must be content: the gate alone, a reviewing agent as well, or a person.",
    ),
    Key::new("max_file_size", Shape::Size(1), "10MiB", "The largest file that a change may hold."),
    Key::new("enforce_touches", Shape::Flag, "false", "Whether changes outside an item's `touches` are refused."),
    Key::new("setup", Shape::Text, "", "Runs once in a new worktree, by `sh -c`."),
    Key::new("teardown", Shape::Text, "", "Runs before a worktree is removed, by `sh -c`."),
    Key::new(
        "prompt",
        Shape::Text,
        "",
        "What agents are told before the text of an item. `{{ issue.identifier }}`, `{{ issue.title }}`, \
         `{{ issue.description }}`, `{{ issue.labels }}` and `{{ attempt }}` are filled in, and `{% if attempt %}` … \
         `{% else %}` … `{% endif %}` is chosen from. With the description in it, the item's text is not said again.",
    ),
    Key::new("copy", Shape::Texts, "", "Untracked files that are brought into a new worktree, such as `.env`."),
    Key::new("keep", Shape::Texts, "", "Globs of ignored files that keep a worktree from being removed."),
    Key::new("min_free", Shape::Size(0), "2GiB", "No new worktree below this much free disk."),
    Key::new(
        "worktree_pool",
        Shape::Whole(0, 100),
        "0",
        "How many worktrees are kept warm, so that an item begins without a checkout.",
    ),
    Key::new("done_retention", Shape::Duration(0), "4h", "How long after its end a mission is archived."),
    Key::new("retention", Shape::Duration(0), "90d", "How long transcripts of archived missions are kept."),
];

/// `[[agents]]`.
pub(crate) const AGENT: &[Key] = &[
    Key::new("name", Shape::Text, "", "Unique; 1 to 64 of `[a-z0-9_-]`. Required."),
    Key::new(
        "driver",
        Shape::Text,
        "the agent's name, if it is one",
        "How it is driven: `command` for any program, `acp` for any that speaks the Agent Client Protocol, `claude`, \
         `codex`, `codex-exec`, `opencode`, `gemini` or `qwen`; or a preset: `copilot`, `cursor`, `auggie`, `aider`.",
    ),
    Key::new(
        "command",
        Shape::Texts,
        "",
        "The program and its arguments. `{root}`, `{prompt}`, `{prompt_file}`, `{worktree}`, `{item}`, `{run}` and \
         `{attempt}` are filled in; `{{` and `}}` are plain braces. Required for the drivers `command` and `acp`; for \
         the others it names the program, if it is not on the PATH, and arguments that come before musher's own.",
    ),
    Key::new("roles", Shape::Texts, "generalist", "Its roles; stated, never guessed from its name."),
    Key::new("capabilities", Shape::Texts, "", "What it can do; an item's labels must all be among them."),
    Key::new("model", Shape::Text, "", "The model it uses."),
    Key::new("max_load", Shape::Whole(0, 100_000), "1", "Items at once; 0 = unlimited."),
    Key::new("env", Shape::Texts, "", "Names of environment variables that are passed to it."),
    Key::new("nickname", Shape::Text, "", "What people call it."),
    Key::new(
        "node",
        Shape::Text,
        "this machine",
        "The machine that its program really works on, where `command` reaches it by ssh or the like. It takes work only \
         while `musher node heartbeat` tells that the node is there. 1 to 64 of `[A-Za-z0-9._-]`.",
    ),
    Key::new("enabled", Shape::Flag, "true", "Whether it is there at all."),
    Key::new("limits", Shape::Table(LIMITS), "", "What stops one of its runs."),
    Key::new(
        "approvals",
        Shape::Word(&["allow", "deny", "ask", "rules"]),
        "",
        "Who says yes to what it wants to do: nobody is asked, everything that needs a yes is denied, a person, or the \
         rules, and a person where they do not know. Without it `rules`, or `allow` where the program is not asked.",
    ),
    Key::new(
        "allow",
        Shape::Texts,
        "",
        "Rules for what it may do besides the usual: `read`, `edit:src/**`, `shell:cargo *`, `fetch:https://docs.rs/*`, \
         or a tool's own name.",
    ),
    Key::new(
        "deny",
        Shape::Texts,
        "",
        "Rules for what it may never do, such as `shell:rm -rf *`; they win over all others.",
    ),
    Key::new("approval_timeout", Shape::Duration(1), "30m", "After how long a request that nobody answers is denied."),
    Key::new(
        "home",
        Shape::Text,
        "the user's own",
        "The folder of its program's configuration and account, below the folder of `musher.toml` or absolute: several \
         accounts live side by side.",
    ),
    Key::new(
        "sandbox",
        Shape::Word(&["none", "bwrap"]),
        "none",
        "What keeps its processes in: nothing, or bubblewrap, where only the worktree, a private `/tmp` and its home can \
         be written.",
    ),
    Key::new("quota", Shape::Table(AGENT_QUOTA), "", "What it may use. 0, or no word, is unlimited."),
    Key::later("on_rate_limit"),
];

/// `[agents.limits]`.
pub(crate) const LIMITS: &[Key] = &[
    Key::new(
        "turns",
        Shape::Whole(1, 1_000_000),
        "80",
        "Turns that use a tool. Counted where the driver reports them; the command driver reports none.",
    ),
    Key::new("duration", Shape::Duration(1), "2h", "How long a run may take."),
    Key::new("silence", Shape::Duration(1), "10m", "How long a run may say nothing."),
    Key::new("usd", Shape::Money, "", "Dollars a run may cost; 0 = no cap."),
    Key::new("tokens", Shape::Whole(0, 1_000_000_000_000_000), "", "Tokens a run may use; 0 = no cap."),
    Key::new("max_output", Shape::Size(1), "64MiB", "Output of a run that is kept."),
];

/// `[agents.quota]`.
pub(crate) const AGENT_QUOTA: &[Key] = &[
    Key::new("daily_tokens", Shape::Whole(0, MOST), "", "Tokens a day."),
    Key::new("daily_jobs", Shape::Whole(0, MOST), "", "Runs that begin on a day, reviews too."),
    Key::new(
        "concurrent_jobs",
        Shape::Whole(0, MOST),
        "",
        "Runs at once; `max_load` is what it can, this is what it may.",
    ),
    Key::new(
        "max_run_duration",
        Shape::Duration(0),
        "",
        "How long one of its runs may take, where that is shorter than the `duration` of its `limits`.",
    ),
    Key::new(
        "model_allowlist",
        Shape::Texts,
        "",
        "The only models that it may use; empty = any. An agent that states none is known by the name of its driver.",
    ),
];

/// `[quota]`.
pub(crate) const QUOTA: &[Key] = &[
    Key::new("timezone", Shape::Text, "UTC", "The IANA name of the zone of which midnight ends a day."),
    Key::new("workspace", Shape::Table(WORKSPACE_QUOTA), "", "Of all that this musher does."),
    Key::new("repo", Shape::Table(REPO_QUOTA), "", "Of the repository."),
    Key::new(
        "model",
        Shape::Named(MODEL_QUOTA),
        "",
        "Of models, one `[quota.model.\"NAME\"]` each, whichever agents use it. An agent that states no model is known by \
         the name of its driver.",
    ),
];

/// `[quota.workspace]`.
pub(crate) const WORKSPACE_QUOTA: &[Key] = &[Key::new("daily_usd", Shape::Money, "", "Dollars a day.")];

/// `[quota.repo]`.
pub(crate) const REPO_QUOTA: &[Key] = &[
    Key::new("daily_prs", Shape::Whole(0, MOST), "", "Pull requests that are opened on a day."),
    Key::new("cooldown_after_failure", Shape::Duration(0), "", "How long no run begins after one has failed."),
    Key::later("daily_issues"),
];

/// `[quota.model.NAME]`.
pub(crate) const MODEL_QUOTA: &[Key] = &[
    Key::new("daily_tokens", Shape::Whole(0, MOST), "", "Tokens a day."),
    Key::new("hourly_requests", Shape::Whole(0, MOST), "", "Runs that begin within an hour."),
    Key::new("daily_usd", Shape::Money, "", "Dollars a day."),
];

/// The most of anything that is counted.
const MOST: u64 = 1_000_000_000_000_000;

/// `[server]`.
pub(crate) const SERVER: &[Key] = &[
    Key::new("listen", Shape::Text, "127.0.0.1:7787", "The address of the API and the dashboard."),
    Key::new("http", Shape::Flag, "true", "Whether the daemon listens on TCP besides its socket."),
];

/// `[forge]`.
pub(crate) const FORGE: &[Key] = &[
    Key::new("repo", Shape::Text, "what the remote `origin` names", "The repository, `owner/name`."),
    Key::new(
        "api",
        Shape::Text,
        "https://api.github.com",
        "Where the API is; of an Enterprise server `https://HOST/api/v3`. Plain `http://` only on this machine.",
    ),
    Key::new(
        "token",
        Shape::Text,
        "`GITHUB_TOKEN`, `GH_TOKEN`, or what `gh auth token` says",
        "What the forge knows musher by: `env:NAME` or `file:PATH`, never the token itself.",
    ),
    Key::new(
        "review_token",
        Shape::Text,
        "no reviews are posted",
        "The token of another account, under which the verdicts of reviewing agents are posted on their pull requests: \
         `env:NAME` or `file:PATH`, never the token itself.",
    ),
    Key::new(
        "webhook",
        Shape::Text,
        "no webhooks",
        "What the forge signs its webhooks with: `env:NAME` or `file:PATH`, never the secret itself.",
    ),
    Key::new(
        "trust",
        Shape::Texts,
        "",
        "Accounts whose words reach an agent, besides those of people who may write to the repository.",
    ),
];

/// `[relay]`.
pub(crate) const RELAY: &[Key] = &[
    Key::new("url", Shape::Text, "no hub", "Where the hub is, such as `https://hub.example.org`; empty is no hub."),
    Key::new(
        "token",
        Shape::Text,
        "",
        "What opens the hub: `env:NAME` or `file:PATH`, never the token itself. With a `url` it is needed.",
    ),
    Key::new("project", Shape::Text, "the folder's name", "What this project is called at the hub."),
    Key::new(
        "allow_http",
        Shape::Flag,
        "false",
        "Whether the token may go over plain `http://` to another machine, where whoever is between can read it.",
    ),
];

/// `[hub]`.
pub(crate) const HUB: &[Key] = &[Key::new(
    "tokens",
    Shape::Texts,
    "",
    "What opens this hub to projects, each `env:NAME` or `file:PATH`, never the token itself; of 16 characters or more.",
)];

/// `[[schedules]]`.
pub(crate) const SCHEDULE: &[Key] = &[
    Key::new("name", Shape::Text, "", "Unique; 1 to 64 of `[a-z0-9_-]`. Its history is kept under it. Required."),
    Key::new(
        "cron",
        Shape::Text,
        "",
        "When it is due: a cron expression of 5 fields, or 6 with seconds first. A schedule has one of `cron`, `every` \
         and `at`.",
    ),
    Key::new("tz", Shape::Text, "UTC", "The zone of `cron`, an IANA name such as `Europe/Berlin`."),
    Key::new("every", Shape::Duration(1), "", "When it is due: again and again, this long apart."),
    Key::new("at", Shape::Moment, "", "When it is due: once."),
    Key::new(
        "check",
        Shape::Texts,
        "",
        "A program and its arguments that is asked first, run at the repository's root; `run_on` says after which end the \
         action follows.",
    ),
    Key::new(
        "run_on",
        Shape::Word(&["failure", "success", "any"]),
        "failure",
        "`failure`: the check exits other than 0, or takes too long. One that cannot be run is a failed firing.",
    ),
    Key::new(
        "check_timeout",
        Shape::Duration(1),
        "30s",
        "How long the check may take; then it is ended with all that it started.",
    ),
    Key::new("prompt", Shape::Text, "", "What it does: a mission of one item with this prompt."),
    Key::new("agent", Shape::Text, "", "The only agent that may take the item of `prompt`."),
    Key::new("plan", Shape::Text, "", "What it does: a mission of this plan, a plan file as a text."),
    Key::new(
        "plan_file",
        Shape::Text,
        "",
        "What it does: a mission of this file, as it is then: a plan file or a document, below the folder of \
         `musher.toml` or absolute.",
    ),
    Key::new("note", Shape::Text, "", "What it does: a note on `mission`."),
    Key::new("mission", Shape::Text, "", "The mission of `note`: its id, or the first 4 digits or more."),
    Key::new(
        "overlap",
        Shape::Word(&["skip", "queue", "replace"]),
        "skip",
        "When it is due and its last firing is not over: leave it out, let it wait, or stop the last one.",
    ),
    Key::new(
        "misfire",
        Shape::Word(&["once", "all", "none"]),
        "once",
        "What becomes of moments that were missed by more than a minute, for musher was not there: one firing for all, one \
         each (the last 1,000), or none.",
    ),
    Key::new("timeout", Shape::Duration(1), "30m", "How long a firing may take; then its mission is stopped."),
    Key::new(
        "notify",
        Shape::Word(&["all", "completions", "failures", "none"]),
        "failures",
        "Which of its firings people are told of, by the event `schedule_reported`.",
    ),
    Key::new("enabled", Shape::Flag, "true", "Whether it fires."),
];

/// `[[triggers]]`.
pub(crate) const TRIGGER: &[Key] = &[
    Key::new("name", Shape::Text, "", "Unique; 1 to 64 of `[a-z0-9_-]`. Its history is kept under it. Required."),
    Key::new("on", Shape::Table(PREDICATE), "", "Which events it fires on: all that is said must hold. Required."),
    Key::new("prompt", Shape::Text, "", "What it does: a mission of one item with this prompt."),
    Key::new("agent", Shape::Text, "", "The only agent that may take the item of `prompt`."),
    Key::new("plan", Shape::Text, "", "What it does: a mission of this plan, a plan file as a text."),
    Key::new(
        "plan_file",
        Shape::Text,
        "",
        "What it does: a mission of this file, as it is then: a plan file or a document, below the folder of \
         `musher.toml` or absolute.",
    ),
    Key::new("note", Shape::Text, "", "What it does: a note on `mission`."),
    Key::new("mission", Shape::Text, "", "The mission of `note`: its id, or the first 4 digits or more."),
    Key::new(
        "mode",
        Shape::Word(&["once", "persistent"]),
        "persistent",
        "`once`: it is used up by its first event. `persistent`: it fires on each.",
    ),
    Key::new("max_fires", Shape::Whole(1, 1_000_000_000), "no limit", "After how many events it is used up."),
    Key::new("cooldown", Shape::Duration(0), "0s", "How long after it has fired it leaves events out."),
    Key::new("expires", Shape::Moment, "never", "From when on it fires on nothing."),
    Key::new("enabled", Shape::Flag, "true", "Whether it fires."),
];

/// `[triggers.on]`.
pub(crate) const PREDICATE: &[Key] = &[
    Key::new("kinds", Shape::Texts, "all", "Names of events; `*` stands for any part of a name, as in `item_*`."),
    Key::new("mission", Shape::Text, "any", "A mission by its id or the first 4 digits or more."),
    Key::new("item", Shape::Text, "any", "An item by its key, or by its id or the first 4 digits or more."),
    Key::new("agent", Shape::Text, "any", "An agent by its name."),
    Key::new("from_state", Shape::Text, "any", "The state that the event says an item or a mission has left."),
    Key::new("to_state", Shape::Text, "any", "The state that the event says an item or a mission is in now."),
    Key::new("label", Shape::Text, "any", "A label of the item."),
    Key::new("text", Shape::Text, "any", "Part of one of the event's texts, letter by letter."),
];

/// `[[sinks]]`.
pub(crate) const SINK: &[Key] = &[
    Key::new(
        "name",
        Shape::Text,
        "",
        "Unique; 1 to 64 of `[a-z0-9_-]`. Its place in the log is kept under it. Required.",
    ),
    Key::new(
        "kind",
        Shape::Word(&["webhook", "file", "desktop"]),
        "",
        "A signed HTTP request an event, a line of JSON an event in a file, or notifications on this desktop. Required.",
    ),
    Key::new("url", Shape::Text, "", "Where a webhook is sent, `https://` or `http://`. A webhook has one."),
    Key::new(
        "secret",
        Shape::Text,
        "",
        "What a webhook is signed with: `env:NAME` or `file:PATH`, never the secret itself. A webhook has one.",
    ),
    Key::new(
        "path",
        Shape::Text,
        "",
        "The file, below the folder of `musher.toml` or absolute, such as `.musher/events.ndjson`. A file has one.",
    ),
    Key::new("max_size", Shape::Size(1), "64MiB", "How large a file grows before a new one is begun."),
    Key::new("keep", Shape::Whole(0, 1_000), "5", "How many full files are kept, as `PATH.1`, the newest, `PATH.2` …"),
    Key::new(
        "kinds",
        Shape::Texts,
        "all; of a desktop what asks a person for something",
        "Names of events; `*` stands for any part of a name, as in `item_*`.",
    ),
    Key::new(
        "missions",
        Shape::Texts,
        "all",
        "Missions by their ids or the first 4 digits or more; then events about no mission are not sent.",
    ),
    Key::new(
        "from",
        Shape::Word(&["present", "start"]),
        "present",
        "Where a new sink begins: with what happens from now on, or with the first event of the log.",
    ),
];

/// `[prices.MODEL]`.
pub(crate) const PRICE: &[Key] = &[
    Key::new("input", Shape::Money, "", "Tokens read. Required."),
    Key::new("output", Shape::Money, "", "Tokens written. Required."),
    Key::new("cache_read", Shape::Money, "that of input", "Tokens read from a cache."),
    Key::new("cache_write", Shape::Money, "that of input", "Tokens read and put into a cache."),
];
