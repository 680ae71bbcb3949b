//! Which program an agent runs, as far as its command tells.

use std::collections::BTreeSet;

use super::AgentSpec;
use crate::config::drivers::{self, Speech};

/// Programs that run another one: which, their arguments tell. A name may be followed by a version.
const INTERPRETERS: [&str; 31] = [
    "sh", "bash", "dash", "zsh", "fish", "ksh", "env", "nice", "timeout", "sudo", "python", "uv", "uvx", "pipx",
    "node", "npx", "npm", "pnpm", "yarn", "bun", "bunx", "deno", "ruby", "perl", "ssh", "docker", "podman", "kubectl",
    "nohup", "stdbuf", "setsid",
];

/// Ends of the names of variables that hold somebody's account.
const KEYS: [&str; 4] = ["_KEY", "_TOKEN", "_SECRET", "_PROFILE"];

/// Variables of such a name that are nobody's account with a model: of forges and registries.
const OTHERS: [&str; 5] = ["GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN", "NPM_TOKEN", "CARGO_REGISTRY_TOKEN"];

/// Whether the driver of an agent starts any program, and not always the same.
pub(super) fn is_any(spec: &AgentSpec) -> bool {
    drivers::named(&spec.driver).is_none_or(|known| known.command.is_empty())
}

/// The words of its command that name its program: the first one, or all of them where that runs another program. None
/// where the driver's own is taken.
pub(super) fn of(spec: &AgentSpec) -> &[Box<str>] {
    match spec.command.first() {
        Some(first) if runs_another(base(first)) => &spec.command,
        Some(_) => &spec.command[..1],
        None => &[],
    }
}

/// The program whose account is used, by its name wherever it lies: drivers that speak to the same program in several
/// ways share it. What runs under the command driver is known by its path alone.
pub(super) fn of_account(spec: &AgentSpec) -> Vec<&str> {
    let known = drivers::named(&spec.driver);
    match (of(spec), known) {
        ([], Some(known)) => known.command.first().map_or(vec![known.name], |program| vec![*program]),
        ([], None) => vec![&*spec.driver],
        ([program], Some(known)) if known.speech != Speech::Command => vec![base(program)],
        (program, _) => program.iter().map(|word| &**word).collect(),
    }
}

/// The variables with keys of an account that are passed to it.
pub(super) fn keys(spec: &AgentSpec) -> BTreeSet<&str> {
    let names = spec.env.iter().map(|name| &**name);
    let is_key = |name: &&str| {
        let name = name.to_ascii_uppercase();
        KEYS.iter().any(|end| name.ends_with(end)) && !OTHERS.contains(&&*name)
    };
    names.filter(is_key).collect()
}

fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

fn runs_another(name: &str) -> bool {
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.contains(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An agent of a line: its driver, its home or `-`, the variables passed to it or `-`, its command.
    fn agent(line: &str) -> AgentSpec {
        let mut words = line.split_whitespace();
        let mut next = || words.next().filter(|word| *word != "-").unwrap_or_default();
        let (driver, home, env) = (next(), next(), next());
        let list = |text: &str| text.split(',').filter(|word| !word.is_empty()).map(Into::into).collect();
        AgentSpec {
            driver: driver.into(),
            home: Some(home.into()).filter(|_| !home.is_empty()),
            env: list(env),
            command: words.map(Into::into).collect(),
            ..AgentSpec::default()
        }
    }

    #[test]
    fn two_agents_share_an_account_or_the_means_to_be_set_up() {
        // What they share (account, setup); one; the other. A home and the names of variables stand before the command.
        let table = "
            yes yes | command - - sh {root}/a.sh {prompt_file}  | command - - sh {root}/a.sh {prompt_file}
            no  no  | command - - sh {root}/a.sh {prompt_file}  | command - - sh {root}/b.sh {prompt_file}
            no  no  | command - - /bin/bash -c one              | command - - /bin/bash -c two
            no  no  | command - - ssh box-a agent               | command - - ssh box-b agent
            no  no  | command - - docker run one                | command - - docker run other
            no  no  | command - - python3.12 a.py               | command - - python3.12 b.py
            yes yes | command - - in-house --model a            | command - - in-house --model b
            no  no  | command - - /opt/a/agent                  | command - - /opt/b/agent
            no  no  | acp - - npx -y @acme/one-acp              | acp - - npx -y @acme/other-acp
            no  no  | acp - - opencode acp                      | acp - - goose acp
            yes no  | acp - - opencode acp                      | opencode - -
            yes yes | claude - -                                | claude - - /usr/local/bin/claude --debug
            no  yes | claude - -                                | claude - - claude-of-work
            no  yes | claude - -                                | claude work -
            yes yes | claude work -                             | claude work -
            no  yes | claude - -                                | claude - ANTHROPIC_API_KEY
            yes yes | claude - -                                | claude - CARGO_HOME
            yes yes | claude - -                                | claude - GITHUB_TOKEN
            yes no  | codex - -                                 | codex-exec - -
            no  no  | codex - -                                 | claude - -
            no  no  | command - - codex-script                  | codex - -
            yes yes | aider - -                                 | aider - -";
        for line in table.lines().skip(1) {
            let [shared, one, other] = line.split('|').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let (one, other) = (agent(one), agent(other));
            let is = |yes: bool| if yes { "yes" } else { "no" };
            let both = [is(one.shares_account(&other)), is(one.shares_setup(&other))];
            assert_eq!(both.as_slice(), shared.split_whitespace().collect::<Vec<_>>(), "{line}");
            assert_eq!(one.shares_account(&other), other.shares_account(&one), "{line}");
        }
    }
}
