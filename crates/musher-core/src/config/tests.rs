//! What is accepted, what is refused and where, and what wins.

use proptest::prelude::*;

use super::key::{Key, Shape};
use super::keys::{AGENT, FORGE, HUB, LIMITS, PREDICATE, PRICE, PROJECT, RELAY, ROOT, SERVER, SINK, TRIGGER};
use super::*;
use crate::item::Qa;
use crate::mission::{Delivery, Policy};
use crate::plan::POLICY;
use crate::price::{Price, Prices};
use crate::quota::{Cap, Quotas, Rules};
use crate::sink::SinkFrom;

const FULL: &str = r#"[project]
base = "main"
gate = "make check"
gate_timeout = "45m"
delivery = "branch"
merge_style = "rebase"
push = true
require_checks = false
ci_fix_attempts = 4
commit = "agent"
qa = "human"
gate_slots = 3
batch_max = 5
max_file_size = "1MiB"
enforce_touches = true
setup = "make deps"
teardown = "make down"
prompt = "Work on {{ issue.identifier }}."
copy = [".env"]
keep = ["*.log"]
min_free = 1024
worktree_pool = 3
done_retention = 0
retention = "7d"
[policy]
max_parallel_items = 8
[[agents]]
name = "script_1"
driver = "command"
command = ["sh", "{root}/agent.sh", "{prompt_file}", "{{x}}"]
roles = ["backend"]
capabilities = ["rust"]
model = "m"
max_load = 0
env = ["API_KEY"]
nickname = "The Script"
node = "gpu-box.lan"
enabled = false
[agents.limits]
turns = 5
duration = "1h"
silence = 30
usd = 1.25
tokens = 1000
max_output = "2MiB"
[agents.quota]
daily_tokens = 5_000_000
daily_jobs = 40
concurrent_jobs = 2
max_run_duration = "20m"
model_allowlist = ["m", "n"]
[quota]
timezone = "Europe/Berlin"
[quota.workspace]
daily_usd = 50
[quota.repo]
daily_prs = 8
cooldown_after_failure = "5m"
[quota.model."gpt-5.1"]
daily_tokens = 1000
hourly_requests = 20
daily_usd = 0.5
[secrets]
key = "env:API_KEY"
other = "file:/run/secrets/other"
[prices."gpt-5.1"]
input = 1.25
output = 10
cache_read = 0.125
cache_write = 0
[prices.small]
input = 0.3
output = 1.1
[[sinks]]
name = "ops"
kind = "webhook"
url = "https://example.org:8443/musher?team=a%20b"
secret = "env:OPS_SECRET"
kinds = ["item_dead_lettered", "mission_*", "*_completed"]
missions = ["0197c3aa", "beef"]
from = "start"
[[sinks]]
name = "log_1"
kind = "file"
path = ".musher/events.ndjson"
max_size = "1MiB"
keep = 0
[forge]
repo = "acme/shop"
api = "https://ghe.example/api/v3"
token = "env:FORGE_TOKEN"
review_token = "env:REVIEW_TOKEN"
webhook = "file:hook-secret"
trust = ["ann", "dependabot[bot]"]
[server]
listen = "[::1]:8080"
http = false
"#;

fn caps(caps: &[(Cap, u64)]) -> Rules {
    Rules { caps: caps.iter().copied().collect(), model_allowlist: None }
}

#[test]
fn a_quota_that_makes_no_sense_is_refused_with_what_would() {
    for (text, wanted, fix) in [
        (
            "[quota]\ntimezone = 'Europe/Belrin'",
            "there is no time zone `Europe/Belrin`",
            "did you mean `Europe/Berlin`?",
        ),
        ("[quota]\ntimezone = 'x'", "there is no time zone `x`", "write an IANA name such as"),
        ("[quota.workspace]\ndaily_usdd = 1", "unknown key `daily_usdd`", "did you mean `daily_usd`?"),
        ("[quota.model.m]\ndaily_tokens = -1", "`daily_tokens` must be a whole number from 0", ""),
        ("[quota.model.'']\ndaily_tokens = 1", "a quota has no model", "write the model's name"),
        ("[quota.repo]\ndaily_prs = -1", "`daily_prs` must be a whole number from 0", ""),
        ("[quota.repo]\ndaily_issues = 1", "`daily_issues` is not in this version of musher", ""),
        (
            "[[agents]]\nname='claude'\n[agents.quota]\nmax_run_duration='soon'",
            "`max_run_duration` must be a duration",
            "",
        ),
        ("[policy]\non_rate_limit = 'stop'", "unknown on_rate_limit `stop`", "one of `wait`, `failover`, `ask`"),
        ("[policy]\non_cap = 'stop'", "unknown on_cap `stop`", "one of `block`, `requeue`, `fail`"),
    ] {
        let problems = parse("musher.toml", text.as_bytes()).unwrap_err().to_string();
        assert!(problems.contains(wanted) && problems.contains(fix), "{text}\n{problems}");
    }
}

#[test]
fn quotas_of_a_stronger_layer_win_key_by_key() {
    let layer = |text: &str| parse("", text.as_bytes()).unwrap();
    let weak = layer(
        "[quota]\ntimezone='Asia/Tokyo'\n[quota.model.m]\ndaily_tokens=1\ndaily_usd=2\n[quota.workspace]\ndaily_usd=3",
    );
    let strong = layer("[quota.model.m]\ndaily_tokens=0\n[quota.model.n]\nhourly_requests=4");
    let quota = Config::resolve([weak, strong]).project.quota;
    assert_eq!(quota.timezone, "Asia/Tokyo");
    assert_eq!(quota.workspace, caps(&[(Cap::DailyUsd, 3_000_000)]));
    assert_eq!(quota.models["m"], caps(&[(Cap::DailyTokens, 0), (Cap::DailyUsd, 2_000_000)]));
    assert_eq!(quota.models["n"], caps(&[(Cap::HourlyRequests, 4)]));
}

#[test]
fn a_file_may_use_every_key() {
    let config = Config::resolve([parse("musher.toml", FULL.as_bytes()).unwrap()]);
    let project = ProjectSettings {
        base: Some("main".into()),
        gate: Some("make check".into()),
        gate_timeout_secs: 2700,
        delivery: Delivery::Branch,
        merge_style: MergeStyle::Rebase,
        gate_slots: 3,
        batch_max: 5,
        push: true,
        require_checks: false,
        ci_fix_attempts: 4,
        commit: CommitBy::Agent,
        qa: Qa::Human,
        max_file_size_bytes: 1 << 20,
        enforce_touches: true,
        setup: Some("make deps".into()),
        teardown: Some("make down".into()),
        prompt: Some("Work on {{ issue.identifier }}.".into()),
        copy: vec![".env".into()],
        keep: vec!["*.log".into()],
        min_free_bytes: 1024,
        worktree_pool: 3,
        webhooks: true,
        posts_reviews: true,
        done_retention_secs: 0,
        retention_secs: 7 * 86_400,
        prices: Prices(
            [("gpt-5.1", [1_250_000, 10_000_000, 125_000, 0]), ("small", [300_000, 1_100_000, 300_000, 300_000])]
                .map(|(model, [input, output, cache_read, cache_write])| {
                    (model.to_owned(), Price { input, output, cache_read, cache_write })
                })
                .into(),
        ),
        quota: Quotas {
            timezone: "Europe/Berlin".into(),
            workspace: caps(&[(Cap::DailyUsd, 50_000_000)]),
            repo: caps(&[(Cap::DailyPrs, 8), (Cap::CooldownAfterFailure, 300)]),
            models: [(
                "gpt-5.1".to_owned(),
                caps(&[(Cap::DailyTokens, 1000), (Cap::HourlyRequests, 20), (Cap::DailyUsd, 500_000)]),
            )]
            .into(),
        },
    };
    let quota = Rules {
        model_allowlist: Some(vec!["m".into(), "n".into()]),
        ..caps(&[
            (Cap::DailyTokens, 5_000_000),
            (Cap::DailyJobs, 40),
            (Cap::ConcurrentJobs, 2),
            (Cap::MaxRunDuration, 1_200),
        ])
    };
    let limits = AgentLimits {
        turns: 5,
        duration_secs: 3600,
        silence_secs: 30,
        usd: Some(1.25),
        tokens: Some(1000),
        max_output_bytes: 2 << 20,
    };
    let agent = AgentConfig {
        name: "script_1".into(),
        driver: "command".into(),
        command: ["sh", "{root}/agent.sh", "{prompt_file}", "{{x}}"].map(String::from).into(),
        roles: vec!["backend".into()],
        capabilities: vec!["rust".into()],
        model: Some("m".into()),
        max_load: 0,
        env: vec!["API_KEY".into()],
        nickname: Some("The Script".into()),
        node: Some("gpu-box.lan".into()),
        enabled: false,
        limits,
        quota,
        ..AgentConfig::default()
    };
    assert_eq!(config.project, project);
    assert_eq!(config.policy, Policy { max_parallel_items: 8, ..Policy::default() });
    assert_eq!(config.agents, [agent]);
    assert_eq!(config.enabled_agents().count(), 0);
    assert_eq!(config.agents[0].spec().limits.cost_micro_usd, Some(1_250_000));
    assert_eq!(config.secrets["key"], SecretRef::Env("API_KEY".into()));
    assert_eq!(config.secrets["other"], SecretRef::File("/run/secrets/other".into()));
    let ops = SinkConfig {
        name: "ops".into(),
        to: SinkTo::Webhook {
            url: "https://example.org:8443/musher?team=a%20b".into(),
            secret: SecretRef::Env("OPS_SECRET".into()),
        },
        kinds: ["item_dead_lettered", "mission_*", "*_completed"].map(String::from).into(),
        missions: ["0197c3aa", "beef"].map(String::from).into(),
        from: SinkFrom::Start,
    };
    let log = SinkConfig {
        name: "log_1".into(),
        to: SinkTo::File { path: ".musher/events.ndjson".into(), max_size_bytes: 1 << 20, keep: 0 },
        kinds: vec![],
        missions: vec![],
        from: SinkFrom::Present,
    };
    let kinds = ops.wanted().kinds;
    assert!(kinds.iter().any(|k| &**k == "mission_paused") && !kinds.iter().any(|k| &**k == "item_done"), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|k| &***k == "mission_completed").count(), 1);
    assert_eq!(config.sinks, [ops, log]);
    let trust = vec!["ann".to_owned(), "dependabot[bot]".to_owned()];
    let forge = ForgeConfig {
        repo: Some("acme/shop".into()),
        api: Some("https://ghe.example/api/v3".into()),
        token: Some(SecretRef::Env("FORGE_TOKEN".into())),
        review_token: Some(SecretRef::Env("REVIEW_TOKEN".into())),
        webhook: Some(SecretRef::File("hook-secret".into())),
        trust,
    };
    assert_eq!(config.forge, forge);
    assert_eq!(config.server, ServerSettings { listen: "[::1]:8080".into(), http: false });
}

#[test]
fn an_empty_file_means_the_defaults() {
    assert_eq!(parse("musher.toml", b""), Ok(Layer::default()));
    let config = Config::resolve([]);
    assert_eq!(config, Config::default());
    assert_eq!(config.project.gate_timeout_secs, 1800);
    assert_eq!(config.server.listen, "127.0.0.1:7787");
}

/// Each file and all its problems, without the file's name.
const REFUSED: &[(&str, &str)] = &[
    ("[projct]\ngate='x'", "1:2: unknown key `projct` (did you mean `project`?)"),
    (
        "gate = 'x'",
        "1:1: unknown key `gate` (the keys here are `project`, `policy`, `agents`, `secrets`, `sinks`, `schedules`, `triggers`, `forge`, `relay`, `hub`, `server`, `prices`, `quota`)",
    ),
    (
        "[project]\ngates='x'\n[policy]\nmax_retry=1",
        "2:1: unknown key `gates` (did you mean `gate`?)\n\
      4:1: unknown key `max_retry` (did you mean `max_retries`?)",
    ),
    (
        "[quota.repo]\ndaily_issues=3\n[chat]\nname='x'",
        "2:1: `daily_issues` is not in this version of musher (leave it out)\n\
      3:2: `chat` is not in this version of musher (leave it out)",
    ),
    (
        "[project]\nrequire_checks='no'\nci_fix_attempts=-1",
        "2:16: `require_checks` must be true or false, but it is \"no\"\n\
      3:17: `ci_fix_attempts` must be a whole number from 0 to 100, but it is -1",
    ),
    (
        "[project]\ndelivery='mrege'\nmerge_style='x'\ncommit=true",
        "2:10: unknown delivery `mrege` (did you mean `merge`?)\n\
      3:13: unknown merge_style `x` (one of `squash`, `merge`, `rebase`)\n\
      4:8: `commit` must be one of `musher`, `agent`, but it is a boolean",
    ),
    (
        "[project]\ngate_timeout='soon'\nretention=-1\nmax_file_size='10 apples'\nmin_free=1.5\ndone_retention='20y'",
        "2:14: `gate_timeout` must be a duration of at least 1 s such as \"90s\", \"30m\" or \"4h\", but it is \"soon\"\n\
      3:11: `retention` must be a duration such as \"90s\", \"30m\" or \"4h\", or whole seconds, but it is -1\n\
      4:15: `max_file_size` must be a size of at least 1 B such as \"10MiB\", but it is \"10 apples\"\n\
      5:10: `min_free` must be a size such as \"10MiB\", or whole bytes, but it is 1.5\n\
      6:16: `done_retention` must be a duration such as \"90s\", \"30m\" or \"4h\", or whole seconds, but it is \"20y\"",
    ),
    (
        "[project]\ngate_timeout=0",
        "2:14: `gate_timeout` must be a duration of at least 1 s such as \"90s\", \"30m\" or \"4h\", but it is 0",
    ),
    (
        "[project]\ncopy=['../x']\nkeep=['{']",
        "2:7: `../x` leaves the repository (write the path from the repository's root, such as \".env\")\n\
      3:7: `{` is no glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?) (write the path from the \
      repository's root, such as `src/**`)",
    ),
    (
        "[[agents]]",
        "1:1: the agent has no `name` (add a short name of [a-z0-9_-], such as name = \"claude-1\")\n\
      1:1: the agent has no `driver` (add driver = \"claude\", \"codex\", \"acp\", \"command\" …)",
    ),
    (
        "[[agents]]\nname='A b'\ndriver='claude'\n[[agents]]\nname='b'\ndriver='comand'\nsandbox='bwrapp'\nnode='gpu box'\n\
         on_rate_limit='ask'",
        "2:6: the agent's name `A b` is not 1 to 64 of [a-z0-9_-] \
      (shorten it to such characters; a `nickname` may be anything)\n\
      6:8: unknown driver `comand` (did you mean `command`?)\n\
      7:9: unknown sandbox `bwrapp` (did you mean `bwrap`?)\n\
      8:6: the node's name `gpu box` is not 1 to 64 of [A-Za-z0-9._-] (call it as its host is called)\n\
      9:1: `on_rate_limit` is not in this version of musher (leave it out)",
    ),
    (
        "[[agents]]\nname='gemini'\napprovals='ask'\nallow=['shell:']",
        "3:11: an agent of this driver is not asked, so `approvals = \"ask\"` would not hold \
      (take a driver that asks: `claude`, `codex` or `acp`; or write approvals = \"allow\")\n\
      4:8: the rule `shell:` has an empty pattern (write a class or a tool's name, with a pattern or without the \
      colon: `read`, `edit:src/**`, `shell:cargo *`, `fetch:https://docs.rs/*`, `mcp__x__*`)",
    ),
    (
        "[[agents]]\nname='a'\ndriver='command'\ncommand=['x']\n[[agents]]\nname='a'\ndriver='command'\ncommand=['x']",
        "6:6: duplicate agent `a` (the first is in line 2)",
    ),
    (
        "[[agents]]\nname='a'\ndriver='command'",
        "1:1: the agent has no `command` (write the program and its arguments, \
      such as command = [\"sh\", \"{root}/agent.sh\", \"{prompt_file}\"])",
    ),
    (
        "[[agents]]\nname='command'",
        "1:1: the agent has no `command` (write the program and its arguments, \
      such as command = [\"sh\", \"{root}/agent.sh\", \"{prompt_file}\"])",
    ),
    (
        "[[agents]]\nname='a'\ndriver='command'\ncommand=[]",
        "4:9: `command` is empty (write the program and its arguments, \
      such as command = [\"sh\", \"{root}/agent.sh\", \"{prompt_file}\"])",
    ),
    (
        "[[agents]]\nname='a'\ndriver='command'\ncommand='sh x'",
        "4:9: `command` must be an array of strings, but it is \"sh x\"",
    ),
    (
        "[[agents]]\nname='a'\ndriver='command'\ncommand=['sh', '{promt_file}', 'a{', '{zzz}']",
        "4:16: unknown placeholder `{promt_file}` (did you mean `{prompt_file}`? `{{` and `}}` are plain braces)\n\
      4:32: a `{` without its `}` (known are `{root}`, `{prompt}`, `{prompt_file}`, `{worktree}`, `{item}`, `{run}`, \
      `{attempt}`; `{{` and `}}` are plain braces)\n\
      4:38: unknown placeholder `{zzz}` (known are `{root}`, `{prompt}`, `{prompt_file}`, `{worktree}`, `{item}`, `{run}`, \
      `{attempt}`; `{{` and `}}` are plain braces)",
    ),
    (
        "[[agents]]\nname='a'\ndriver='command'\ncommand=['x']\nmax_load=-1\nenv=['KEY=hunter2']\n[agents.limits]\nusd='5'\ntime=3",
        "5:10: `max_load` must be a whole number from 0 to 100000, but it is -1\n\
      6:6: `KEY` in `env` is no name of an environment variable \
      (name the variable only; its value is taken from the daemon's environment)\n\
      8:5: `usd` must be a number of dollars, 0 or more, but it is \"5\"\n\
      9:1: unknown key `time` (the keys here are `turns`, `duration`, `silence`, `usd`, `tokens`, `max_output`)",
    ),
    (
        "[secrets]\ngit-token='hunter2'\nb='env:1x'\nc='file:'\nd=1\n'a b'='env:A'",
        "2:11: the secret `git-token` is no reference \
      (put it into an environment variable and write \"env:GIT_TOKEN\", or \"file:PATH\")\n\
      3:3: the secret `b` is no reference (put it into an environment variable and write \"env:B\", or \"file:PATH\")\n\
      4:3: the secret `c` is no reference (put it into an environment variable and write \"env:C\", or \"file:PATH\")\n\
      5:3: `d` must be a string\n\
      6:7: the name `a b` of a secret is not of [A-Za-z0-9_.-] (rename it)",
    ),
    (
        "[prices.a]\ninput=-1\noutputs=2\n[prices.gpt-5.1]\ninput=1\noutput='2'\n[prices]\nb=3\n''={input=1,output=inf}",
        "1:1: the price of `a` has no `output` (write the dollars for a million tokens, \
      such as output = 2.5; quote a name with a dot: [prices.\"a-1.5\"])\n\
      2:7: `input` must be a number of dollars, 0 or more, but it is -1\n\
      3:1: unknown key `outputs` (did you mean `output`?)\n\
      4:9: the price of `gpt-5` has no `input` (write the dollars for a million tokens, \
      such as input = 2.5; quote a name with a dot: [prices.\"a-1.5\"])\n\
      4:9: the price of `gpt-5` has no `output` (write the dollars for a million tokens, \
      such as output = 2.5; quote a name with a dot: [prices.\"a-1.5\"])\n\
      4:15: unknown key `1` (the keys here are `input`, `output`, `cache_read`, `cache_write`)\n\
      8:3: `b` must be a table\n\
      9:4: a price has no model (write the model's name: [prices.\"NAME\"])\n\
      9:20: `output` must be a number of dollars, 0 or more, but it is inf",
    ),
    ("prices=3", "1:8: `prices` must be a table, but it is 3"),
    (
        "[forge]\nrepo='shop'\napi='ftp://x'\ntoken='hunter2'\ntrust=['@ann']\nwebhook='hunter3'",
        "2:6: `shop` names no repository (write it as \"owner/name\")\n\
      3:5: `ftp://x` is no address of an API (write it as \"https://HOST/api/v3\")\n\
      4:7: the forge's `token` is no reference (put it into an environment variable and write \"env:NAME\", or into a file \
      and write \"file:PATH\")\n\
      5:8: `@ann` is no name of an account (write it as the forge does, without the `@`)\n\
      6:9: the forge's `webhook` is no reference (put it into an environment variable and write \"env:NAME\", or into a file \
      and write \"file:PATH\")",
    ),
    (
        "[[sinks]]",
        "1:1: the sink has no `name` (add a short name of [a-z0-9_-], such as name = \"ops\")\n\
      1:1: the sink has no `kind` (write kind = \"webhook\", kind = \"file\" or kind = \"desktop\")",
    ),
    (
        "[[sinks]]\nname='A b'\nkind='webhok'\n[[sinks]]\nname='b'\nkind='webhook'\npath='x'",
        "2:6: the sink's name `A b` is not 1 to 64 of [a-z0-9_-] (shorten it to such characters)\n\
      3:6: unknown kind `webhok` (did you mean `webhook`?)\n\
      4:1: the webhook has no `url` (write where events are sent, such as url = \"https://example.org/musher\")\n\
      4:1: the webhook has no `secret` (every request is signed: write secret = \"env:NAME\" or \"file:PATH\")\n\
      7:6: a sink of kind `webhook` has no `path` (take it out)",
    ),
    (
        "[[sinks]]\nname='a'\nkind='webhook'\nurl='ftp://x'\nsecret='hunter2'\nkinds=['item_dne','zzz_*']\nmissions=['x1']",
        "4:5: the `url` does not begin with https:// or http:// (write it as \"https://HOST/PATH\")\n\
      5:8: the webhook's `secret` is no reference \
      (put it into an environment variable and write \"env:NAME\", or into a file and write \"file:PATH\")\n\
      6:8: no event is named `item_dne` (did you mean `item_done`?)\n\
      6:19: no event is named `zzz_*` \
      (the reference lists every event; `*` stands for any part of a name, as in `item_*`)\n\
      7:11: `x1` is no id of a mission (write the id as `musher mission list` shows it, or its first 4 digits or more)",
    ),
    (
        "[[sinks]]\nname='a'\nkind='webhook'\nurl='https://me:hunter2@x/'\nsecret='env:A'\n\
         [[sinks]]\nname='b'\nkind='webhook'\nurl='http://:80'\nsecret='env:A'\n\
         [[sinks]]\nname='c'\nkind='webhook'\nurl='http://x/a b'\nsecret='env:A'\n\
         [[sinks]]\nname='d'\nkind='webhook'\nurl='http://x/#a'\nsecret='env:A'",
        "4:5: the `url` holds a name or a password, which is not sent \
      (write it as \"https://HOST/PATH\")\n\
      9:5: the `url` names no host (write it as \"https://HOST/PATH\")\n\
      14:5: the `url` holds a character that must be written as `%` and two digits \
      (write it as \"https://HOST/PATH\")\n\
      19:5: the `url` has a part after `#`, which is never sent (write it as \"https://HOST/PATH\")",
    ),
    (
        "[[sinks]]\nname='a'\nkind='file'\npath='x'\n[[sinks]]\nname='b'\nkind='file'\npath='x'\nkeep=-1\n[[sinks]]\n\
         name='a'\nkind='file'\npath='y'\nurl='http://x'\n[[sinks]]\nname='c'\nkind='file'\nfrom='strat'",
        "8:6: the sink `a` writes to `x` already (give each sink a file of its own)\n\
      9:6: `keep` must be a whole number from 0 to 1000, but it is -1\n\
      11:6: duplicate sink `a` (the first is in line 2)\n\
      14:5: a sink of kind `file` has no `url` (take it out)\n\
      15:1: the file has no `path` (write which, such as path = \".musher/events.ndjson\")\n\
      18:6: unknown from `strat` (did you mean `start`?)",
    ),
    (
        "[[schedules]]\nname='a'\ncron='* * * *'\nprompt='p'\n[[schedules]]\nname='b'\nevery='0s'\nat=1\nprompt='p'\nplan='p'\n\
         [[schedules]]\nname='c'\nevery='1m'\ntz='UTC'\nnote='n'\nagent='x'\nrun_on='any'\n[[schedules]]\nname='d d'\n\
         cron='0 0 * * *'\ntz='Mars'\nplan='goal = 1'\ncheck=[]\n[[schedules]]\nname='c'\nevery='1m'\nprompt='p'\noverlap='never'",
        "3:6: `* * * *` is no cron expression: it has 4 fields; it has 5, or 6 with seconds first (five fields, such as \"0 9 * * MON-FRI\", or six with seconds first; `tz` is an IANA name such as \"Europe/Berlin\")\n\
      7:7: `every` must be a duration of at least 1 s such as \"90s\", \"30m\" or \"4h\", but it is \"0s\"\n\
      8:4: the schedule says when it is due twice: by `every` and by `at` (take one of them out)\n\
      8:4: `at` must be a moment with its offset such as 2026-01-31T09:00:00Z, but it is 1\n\
      10:6: the schedule says what it does twice: by `prompt` and by `plan` (take one of them out)\n\
      10:6: plan.toml:1:2: key with no value, expected `=` (the file must be TOML, see https://toml.io) (`musher plan check FILE` tries a plan; this is one within a text)\n\
      11:1: the note has no `mission` (write the mission's id, or the first 4 digits or more of it)\n\
      14:4: `tz` is the zone of `cron`, and there is none (take it out)\n\
      16:7: `agent` belongs to `prompt`, and there is none (take it out)\n\
      17:8: `run_on` is of `check`, and there is none (take it out)\n\
      19:6: the schedule's name `d d` is not 1 to 64 of [a-z0-9_-] (shorten it to such characters)\n\
      21:4: there is no time zone `Mars` (five fields, such as \"0 9 * * MON-FRI\", or six with seconds first; `tz` is an IANA name such as \"Europe/Berlin\")\n\
      22:6: plan.toml:1:1: the plan has no items (add an `[[items]]` with an `id`, a `title` and a `body`)\n\
      plan.toml:1:8: `goal` must be a string, but it is an integer (`musher plan check FILE` tries a plan; this is one within a text)\n\
      23:7: `check` names no program (write the program and its arguments)\n\
      28:9: unknown overlap `never` (one of `skip`, `queue`, `replace`)",
    ),
    (
        "[[triggers]]\nname='a'\non={kinds=['item_done','item_faild']}\nprompt='p'\n[[triggers]]\nname='b'\non={}\nnote='n'\n\
         [[triggers]]\nname='c c'\non={to_state='gone'}\nmode='twice'\nmax_fires=0\n",
        "3:24: no event is named `item_faild` (did you mean `item_failed`?)\n\
      5:1: the note has no `mission` (write the mission's id, or the first 4 digits or more of it)\n\
      7:4: a trigger without a condition would fire on every event (say one of kinds, mission, item, agent, from_state, to_state, label and text)\n\
      9:1: the trigger says not what it does (write prompt = \"…\", plan_file = \"PATH\", plan = \"\"\"…\"\"\", or note = \"…\" with mission = \"ID\")\n\
      10:6: the trigger's name `c c` is not 1 to 64 of [a-z0-9_-] (shorten it to such characters)\n\
      11:4: no item or mission is ever `gone` (did you mean `done`?)\n\
      12:6: unknown mode `twice` (one of `once`, `persistent`)\n\
      13:11: `max_fires` must be a whole number from 1 to 1000000000, but it is 0",
    ),
    (
        "[server]\nlisten='7787'\nhttp=1",
        "2:8: `7787` is no address with a port (write one such as \"127.0.0.1:7787\" or \"[::1]:7787\")\n\
      3:6: `http` must be true or false, but it is an integer",
    ),
];

#[test]
fn every_problem_of_a_file_is_named_with_its_line_and_column() {
    for (file, expected) in REFUSED {
        let problems = parse("", file.as_bytes()).unwrap_err();
        assert_eq!(problems.to_string(), *expected, "{file}");
    }
}

#[test]
fn a_stronger_layer_wins_key_by_key_and_agent_by_agent() {
    let agent =
        |name: &str, rest: &str| format!("[[agents]]\nname='{name}'\ndriver='command'\ncommand=['x']\n{rest}\n");
    let user = format!(
        "[project]\ngate='user'\npush=true\n[policy]\nmax_retries=7\nbudget_usd=5\n{}{}[secrets]\na='env:A'\nb='env:B'\n\
         [prices.m]\ninput=1\noutput=1\ncache_read=0\n[prices.n]\ninput=3\noutput=3\n",
        agent("one", "model='user'\nmax_load=3"),
        agent("two", "")
    );
    let repository = format!(
        "[project]\ngate='repository'\n[policy]\nbudget_usd=0\n{}[secrets]\na='file:a'\n[prices.m]\ninput=2\noutput=2\n",
        agent("one", "")
    );
    let layers = [
        parse("user", user.as_bytes()).unwrap(),
        parse("repository", repository.as_bytes()).unwrap(),
        environment([("MUSHER_GATE", "environment"), ("MUSHER_MAX_PARALLEL", "4")]).unwrap(),
    ];
    let config = Config::resolve(layers);
    assert_eq!((config.project.gate.as_deref(), config.project.push), (Some("environment"), true));
    assert_eq!((config.policy.max_retries, config.policy.max_parallel_items, config.policy.budget_usd), (7, 4, None));
    let agents: Vec<_> = config.agents.iter().map(|a| (a.name.as_str(), a.model.as_deref(), a.max_load)).collect();
    assert_eq!(agents, [("one", None, 1), ("two", None, 1)]);
    assert_eq!(config.secrets["a"], SecretRef::File("a".into()));
    assert_eq!(config.secrets["b"], SecretRef::Env("B".into()));
    let prices = config.project.prices.0.iter().map(|(model, price)| (model.as_str(), price.input, price.cache_read));
    assert_eq!(prices.collect::<Vec<_>>(), [("m", 2_000_000, 2_000_000), ("n", 3_000_000, 3_000_000)]);
}

#[test]
fn variables_name_keys_in_upper_case() {
    let layer = environment([
        ("MUSHER_GATE_TIMEOUT", "45m"),
        ("MUSHER_PUSH", "yes"),
        ("MUSHER_DELIVERY", "branch"),
        ("MUSHER_COPY", ".env, a"),
        ("MUSHER_MAX_FILE_SIZE", "1024"),
        ("MUSHER_BUDGET_USD", "2.5"),
        ("MUSHER_LISTEN", "localhost:1"),
        ("MUSHER_BASE", "trunk"),
        ("MUSHER_GATE", ""),
        ("MUSHER_ITEM", "whatever"),
        ("MUSHER_WORKTREE_POOL", "3"),
        ("HOME", "/"),
    ]);
    let layer = layer.unwrap();
    assert_eq!(
        (layer.project.gate_timeout_secs, layer.project.push, &layer.project.gate),
        (Some(2700), Some(true), &None)
    );
    assert_eq!((layer.project.delivery, layer.project.max_file_size_bytes), (Some(Delivery::Branch), Some(1024)));
    assert_eq!(layer.project.copy, Some(vec![".env".into(), "a".into()]));
    assert_eq!((layer.policy.budget_usd, layer.server.listen.as_deref()), (Some(2.5), Some("localhost:1")));
    assert_eq!(layer.project.base.as_deref(), Some("trunk"));
    // The environment of a run is not configuration.
    let layer = environment([("MUSHER_BASE", "abc123"), ("MUSHER_RUN", "0197")]).unwrap();
    assert_eq!(layer, Layer::default());
}

#[test]
fn a_bad_variable_is_named() {
    let problems = environment([("MUSHER_PUSH", "maybe"), ("MUSHER_DELIVERY", "prs"), ("MUSHER_MAX_RETRIES", "0")]);
    assert_eq!(
        problems.unwrap_err().to_string(),
        "MUSHER_DELIVERY:1:1: unknown delivery `prs` (did you mean `pr`?)\n\
         MUSHER_MAX_RETRIES:1:1: `max_retries` must be a whole number from 1 to 1000, but it is 0\n\
         MUSHER_PUSH:1:1: `push` must be true or false, but it is \"maybe\""
    );
}

#[test]
fn the_reader_looks_at_every_key_of_its_table() {
    let sections: [(&str, &[Key]); 13] = [
        ("", ROOT),
        ("[project]\n", PROJECT),
        ("[policy]\n", POLICY),
        ("[server]\n", SERVER),
        ("[[agents]]\n", AGENT),
        ("[[agents]]\n[agents.limits]\n", LIMITS),
        ("[prices.a]\n", PRICE),
        ("[[sinks]]\n", SINK),
        ("[forge]\n", FORGE),
        ("[[triggers]]\n", TRIGGER),
        ("[[triggers]]\n[triggers.on]\n", PREDICATE),
        ("[relay]\n", RELAY),
        ("[hub]\n", HUB),
    ];
    for (section, keys) in sections {
        for key in keys {
            let file = format!("{section}{} = 1979-05-27\n", key.name);
            let problems = parse("", file.as_bytes()).unwrap_err().to_string();
            let refused =
                if key.is_known() { format!("`{}` must be ", key.name) } else { format!("`{}` is not in", key.name) };
            assert!(problems.contains(&refused), "{file}{problems}");
        }
    }
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_types() {
    let mut file = String::new();
    let mut written = |section: &str, keys: &[Key]| {
        file.push_str(section);
        for key in keys {
            let default = match key.shape {
                Shape::Flag | Shape::Whole(..) if !key.default.is_empty() => key.default.to_owned(),
                Shape::Word(_) if key.default.is_empty() => continue,
                Shape::Word(_) | Shape::Duration(_) | Shape::Size(_) => format!("'{}'", key.default),
                Shape::Text if key.name == "listen" => format!("'{}'", key.default),
                _ => continue,
            };
            file.push_str(&format!("{} = {default}\n", key.name));
        }
    };
    written("[project]\n", PROJECT);
    written("[policy]\n", POLICY);
    written("[server]\n", SERVER);
    written("[[agents]]\nname='a'\ndriver='command'\ncommand=['x']\n", AGENT);
    written("[agents.limits]\n", LIMITS);
    let mut config = Config::resolve([parse("defaults.toml", file.as_bytes()).unwrap()]);
    let agent = config.agents.remove(0);
    assert_eq!(config, Config::default());
    assert_eq!(agent, AgentConfig { name: "a".into(), command: vec!["x".into()], ..AgentConfig::default() });
}

#[test]
fn the_schema_and_the_reference_name_every_key() {
    fn same(schema: &serde_json::Value, reference: &str, keys: &[Key]) {
        let properties = schema["properties"].as_object().unwrap();
        let mut known: Vec<&str> = keys.iter().filter(|key| key.is_known()).map(|key| key.name).collect();
        known.sort_unstable();
        assert_eq!(properties.keys().map(String::as_str).collect::<Vec<_>>(), known);
        for key in keys.iter().filter(|key| key.is_known()) {
            match key.shape {
                Shape::Table(inner) => same(&properties[key.name], reference, inner),
                Shape::Tables(inner) => same(&properties[key.name]["items"], reference, inner),
                Shape::Named(inner) => same(&properties[key.name]["additionalProperties"], reference, inner),
                Shape::Secrets => {}
                _ => assert!(reference.contains(&format!("\n| `{}` | ", key.name)), "{}", key.name),
            }
        }
    }
    let reference = reference();
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    same(&schema, &reference, ROOT);
    assert_eq!(schema["properties"]["agents"]["items"]["required"], serde_json::json!(["name"]));
    for heading in [
        "## `[project]`",
        "## `[policy]`",
        "## `[[agents]]`",
        "## `[agents.limits]`",
        "## `[secrets]`",
        "## `[prices.NAME]`",
        "## `[[sinks]]`",
        "## `[forge]`",
    ] {
        assert!(reference.contains(heading), "{heading}\n{reference}");
    }
    assert!(
        reference
            .contains("| `gate_timeout` | duration | `30m` | How long the gate may take. | `MUSHER_GATE_TIMEOUT` |")
    );
}

#[test]
fn a_relay_is_a_sink_of_its_own_and_what_a_file_says_wins_over_the_variables() {
    let relay = |file: &str, variables: &[(&str, &str)]| {
        let layers = [parse("musher.toml", file.as_bytes()).unwrap(), environment(variables.to_vec()).unwrap()];
        Config::resolve(layers).relay.sink().map(|sink| sink.map(|sink| sink.to))
    };
    let to = |url: &str, project: Option<&str>| {
        let (url, project) = (url.to_owned(), project.map(str::to_owned));
        Ok(Some(SinkTo::Relay { url, token: SecretRef::Env("T".into()), project }))
    };
    let token = "[relay]\ntoken = 'env:T'\n";
    let (url, name) = (("MUSHER_RELAY_URL", "https://env"), ("MUSHER_RELAY_PROJECT", "env"));
    for (name, file, variables, sink) in [
        ("nothing", String::new(), &[][..], Ok(None)),
        ("a token alone", token.to_owned(), &[], Ok(None)),
        ("a file", format!("{token}url = 'https://file'\nproject = 'a b'"), &[], to("https://file", Some("a b"))),
        ("variables", token.to_owned(), &[url, name], to("https://env", Some("env"))),
        ("both", format!("{token}url = 'https://file'"), &[url, name], to("https://file", Some("env"))),
        ("switched off", format!("{token}url = ''"), &[url], Ok(None)),
        ("no name", format!("{token}url = 'https://a'\nproject = ' '"), &[], to("https://a", None)),
        ("no token", "[relay]\nurl = 'https://a'".to_owned(), &[], Err(Unusable::NoToken)),
        ("plain, here", format!("{token}url = 'http://127.0.0.1:7787'"), &[], to("http://127.0.0.1:7787", None)),
        ("plain, here by name", format!("{token}url = 'http://localhost/hub'"), &[], to("http://localhost/hub", None)),
        ("plain, here in six", format!("{token}url = 'http://[::1]:1'"), &[], to("http://[::1]:1", None)),
        ("plain, there", format!("{token}url = 'http://10.0.0.1'"), &[], Err(Unusable::Plain)),
        ("plain, there by a like name", format!("{token}url = 'http://localhost.a.org'"), &[], Err(Unusable::Plain)),
        ("plain, there by a like number", format!("{token}url = 'http://127.0.0.1.a.org'"), &[], Err(Unusable::Plain)),
        ("allowed", format!("{token}url = 'http://a'\nallow_http = true"), &[], to("http://a", None)),
    ] {
        assert_eq!(relay(&file, variables), sink, "{name}");
    }
    // The environment of others is left alone.
    assert_eq!(relay(token, &[("MUSHER_URL", "x"), ("MUSHER_RELAY_TOKEN", "x"), ("MUSHER_TOKENS", "x")]), Ok(None));
}

#[test]
fn what_a_relay_and_a_hub_cannot_use_is_named() {
    for (file, problem) in [
        (
            "[relay]\nurl = 'ftp://a'",
            "2:7: the `url` does not begin with https:// or http:// (write it as \"https://HOST\")",
        ),
        ("[relay]\nurl = 'https://a/?b'", "2:7: the `url` has a part after `?`, which no hub takes"),
        ("[relay]\nurl = 'https://a@b'", "2:7: the `url` holds a name or a password"),
        ("[relay]\ntoken = 'hunter2'", "2:9: the relay's `token` is no reference"),
        ("[hub]\ntokens = ['env:A', 'hunter2']", "2:20: one of the hub's `tokens` is no reference"),
        ("[[sinks]]\nname = 'relay'\nkind = 'desktop'", "2:8: `relay` is the name of what tells a hub"),
    ] {
        let said = parse("", file.as_bytes()).unwrap_err().to_string();
        assert!(said.contains(problem) && !said.contains("hunter2"), "{file}: {said}");
    }
}

#[test]
fn what_holds_is_shown_as_a_file_that_means_the_same() {
    let relay =
        "[relay]\nurl='https://a'\ntoken='env:T'\nproject='p'\nallow_http=true\n[hub]\ntokens=['file:a','env:B']";
    let others = "[policy]\nbudget_usd = 5\ndeadline = 2026-01-31T09:00:00Z\n[secrets]\n\"a.b\" = 'env:A'\n";
    for file in ["", FULL, others, relay, "[[agents]]\nname = \"claude\"\n"] {
        let config = Config::resolve([parse("", file.as_bytes()).unwrap()]);
        let shown = config.to_toml();
        assert_eq!(parse("", shown.as_bytes()).map(|layer| Config::resolve([layer])), Ok(config), "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_and_no_changed_file_make_the_reader_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        (from, length, copy_to) in (0..FULL.len(), 0..80usize, 0..FULL.len()),
    ) {
        let _ = parse("", &bytes);
        let piece: Vec<u8> = FULL.bytes().skip(from).take(length).collect();
        let mut changed = FULL.as_bytes().to_vec();
        changed.splice(copy_to..copy_to, piece);
        let _ = parse("", &changed);
        changed.drain(from..(from + length).min(changed.len()));
        let _ = parse("", &changed);
    }

    #[test]
    fn no_variable_makes_the_reader_panic(number in 0..64usize, text in "\\PC{0,20}") {
        let keys: Vec<&Key> = PROJECT.iter().chain(POLICY).chain(SERVER).collect();
        let variable = format!("MUSHER_{}", keys[number % keys.len()].name.to_ascii_uppercase());
        let _ = environment([(variable, text)]);
    }
}
