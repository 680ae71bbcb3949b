//! `musher init`.

use std::path::{Path, PathBuf};

use crate::connect::Context;
use crate::error::{Exit, Failure, Outcome};
use crate::output;
use crate::project;

use musher_agents::probe::{self, Installed};
use musher_core::config::drivers::{self, Speech};
use musher_core::workflow::{self, Remark};
use std::io::Read;

/// Make a first `musher.toml` for this repository
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The gate: the command that must exit 0 before anything is merged
    #[arg(long, value_name = "CMD")]
    gate: Option<String>,
    /// Take over a `WORKFLOW.md` in the style of Symphony: what has a counterpart, and its prompt
    #[arg(long, value_name = "FILE")]
    workflow: Option<PathBuf>,
    /// Show the file and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &Args, cx: &Context) -> Outcome {
    let root = project::root_of(&cx.folder)?;
    let path = root.join("musher.toml");
    if args.gate.as_ref().is_some_and(|gate| gate.trim().is_empty() || gate.chars().any(char::is_control)) {
        return Err(Failure::usage("the gate is blank, or holds a line break or another control character")
            .fix("put more than one line into a script, and name that: `--gate ./scripts/test`"));
    }
    let gate = args.gate.clone().or_else(|| guess_gate(&root));
    let (text, remarks, agents) = match &args.workflow {
        Some(file) => {
            let (text, remarks) = import(file, gate.as_deref(), cx)?;
            (text, remarks, Vec::new())
        }
        None => {
            let agents = probe::installed(&root, &super::doctor::environment());
            (config(gate.as_deref(), &agents), Vec::new(), agents)
        }
    };
    let named: Vec<&str> = agents.iter().map(|agent| agent.driver).collect();
    if args.dry_run {
        let document =
            serde_json::json!({"config": path, "gate": gate, "agents": named, "toml": text, "remarks": remarks});
        return cx.say(&document, || {
            output::line(text.trim_end());
            remarks.iter().for_each(tell);
        });
    }
    let created = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = match created {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Failure::new(Exit::Refused, "there is a `musher.toml` already")
                .fix("edit it; `musher config check` says whether it can be used"));
        }
        Err(error) => {
            return Err(Failure::failed(format!("`{}` cannot be written", path.display())).why(error.to_string()));
        }
    };
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    let repository = musher_git::Repository::open(&root).map_err(|error| Failure::caused(Exit::Failed, &error))?;
    repository.exclude(".musher/").map_err(|error| Failure::caused(Exit::Failed, &error))?;
    let document = serde_json::json!({"config": path, "gate": gate, "agents": named, "remarks": remarks});
    cx.say(&document, || {
        output::line(&format!("wrote {}", path.display()));
        remarks.iter().for_each(tell);
        match &gate {
            Some(gate) if args.gate.is_some() => output::line(&format!("gate: {gate}")),
            Some(gate) => output::line(&format!("gate: {gate} (guessed from what is here; change it if it is wrong)")),
            None => output::line("no gate: say in it which command proves that the work is good"),
        }
        if args.workflow.is_some() {
            output::line("reviews: none (reviewer_required = false, as in every first file; take it out to have them)");
        }
        if named.is_empty() && args.workflow.is_none() {
            output::line("next: name your agent in it, then `musher doctor`");
        } else if !named.is_empty() {
            output::line(&format!(
                "agents: {} (found on this machine; take out those you do not want)",
                named.join(", ")
            ));
            output::line(
                "next: `musher doctor`, then `musher run \"PROMPT\"` or `musher mission start plan.toml --wait`",
            );
        } else {
            output::line("next: `musher doctor`");
        }
    })
}

/// The configuration made of a workflow, and what a person should know of it.
fn import(file: &Path, gate: Option<&str>, cx: &Context) -> Result<(String, Vec<Remark>), Failure> {
    let file = cx.folder.join(file);
    let name = file.display().to_string();
    let unreadable = |error: std::io::Error| Failure::usage(format!("`{name}` cannot be read")).why(error.to_string());
    // Opening a pipe would wait for whoever writes to it, and a device has no end.
    if !std::fs::metadata(&file).map_err(unreadable)?.is_file() {
        return Err(Failure::usage(format!("`{name}` is no regular file")).fix("name the file of the workflow itself"));
    }
    // One byte more than is read tells that there is more.
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(&file).map_err(unreadable)?;
    opened.take(workflow::LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let import = workflow::read(&name, &bytes, gate).map_err(|problems| {
        let fix = problems.fix().unwrap_or("mend what is named").to_owned();
        Failure::usage(format!("`{name}` cannot be taken over")).why(problems.to_string()).fix(fix)
    })?;
    Ok((import.toml, import.remarks))
}

/// To standard error: what is shown may be the file itself.
fn tell(remark: &Remark) {
    eprintln!("line {}: {}: {}", remark.line, remark.key, remark.what);
}

/// What most projects of this sort run to prove themselves.
fn guess_gate(root: &Path) -> Option<String> {
    let has = |name: &str| root.join(name).exists();
    let makefile = std::fs::read_to_string(root.join("Makefile")).unwrap_or_default();
    let gate = if has("scripts/test") {
        "./scripts/test"
    } else if makefile.lines().any(|l| l.starts_with("test:")) {
        "make test"
    } else if has("Cargo.toml") {
        "cargo test"
    } else if has("go.mod") {
        "go test ./..."
    } else if has("package.json") {
        "npm test"
    } else if has("pyproject.toml") || has("pytest.ini") || has("setup.py") {
        "python3 -m pytest"
    } else {
        return None;
    };
    Some(gate.to_owned())
}

fn config(gate: Option<&str>, agents: &[Installed]) -> String {
    let gate = match gate {
        // A TOML basic string: quotes and backslashes escaped.
        Some(gate) => format!("gate = \"{}\"", gate.replace('\\', "\\\\").replace('"', "\\\"")),
        None => "# gate = \"make test\"".to_owned(),
    };
    let agents = if agents.is_empty() { NO_AGENT.to_owned() } else { agents.iter().map(table_of).collect() };
    format!(
        r#"# How musher works on this repository. `musher config schema` and the manual name every key.

[project]
# The command that must exit 0 before anything is merged. Without one, work is gathered on a branch of its own.
{gate}

[policy]
# How many items are worked on at once.
max_parallel_items = 2
# Whether implement and test items wait for a review; without a reviewing agent a person is asked.
reviewer_required = false
{agents}"#
    )
}

const NO_AGENT: &str = r#"
# A coding agent that musher knows: claude, codex, opencode, gemini, qwen, copilot, cursor, auggie, aider.
# [[agents]]
# name = "claude"

# Or any command: it runs in a worktree of its own, with the prompt on standard input and in {prompt_file}.
# [[agents]]
# name = "script"
# driver = "command"
# command = ["sh", "{root}/agent.sh", "{prompt_file}"]
# max_load = 1
"#;

/// The table of an agent that was found. Its name is its driver's, which says how it is spoken to.
fn table_of(agent: &Installed) -> String {
    let mut table = format!("\n[[agents]]\nname = \"{}\"\n", agent.driver);
    if !agent.keys.is_empty() {
        table.push_str("# Nothing else of your environment is passed on.\n");
        table.push_str(&format!("env = [\"{}\"]\n", agent.keys.join("\", \"")));
    }
    let asks = drivers::named(agent.driver).is_some_and(|known| known.speech == Speech::TwoWay);
    if asks {
        table.push_str("# allow = [\"shell:make *\"]    # besides reading, and editing in its worktree; you are asked for the rest\n");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_config_can_be_used_with_and_without_a_gate() {
        for gate in [None, Some("make test"), Some("sh -c \"a\\b\"")] {
            let text = config(gate, &[]);
            let parsed = musher_core::config::parse("musher.toml", text.as_bytes());
            assert!(parsed.is_ok(), "{parsed:?}");
        }
    }

    #[test]
    fn every_agent_that_can_be_found_is_written_so_that_it_can_be_used() {
        let keys = vec!["ONE_KEY", "OTHER_KEY"];
        let known = drivers::DRIVERS.iter().filter(|known| !known.command.is_empty());
        let agents: Vec<_> = known.map(|known| Installed { driver: known.name, keys: keys.clone() }).collect();
        let parsed = musher_core::config::parse("musher.toml", config(None, &agents).as_bytes()).unwrap();
        let read: Vec<_> = parsed.agents.iter().map(|agent| (&*agent.driver, agent.env.len())).collect();
        let written: Vec<_> = agents.iter().map(|agent| (agent.driver, 2)).collect();
        assert_eq!(read, written);
    }
}
