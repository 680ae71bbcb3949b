//! `musher plan`.

use std::path::PathBuf;

use musher_core::nearest::nearest;
use musher_core::plan::{self, Plan};

use crate::connect::Context;
use crate::error::{Failure, Outcome};
use crate::forge::IssueArgs;
use crate::output;

mod planner;

/// Have an agent plan a mission, and look at its plan; or `plan check FILE`, `plan schema`
///
/// With `--issue`, nothing is asked of an agent: the issues are compiled into a plan, which is printed, or written to
/// a file with `-o`.
///
/// An agent looks around in the repository and divides the goal into items. Its plan is checked, shown as a graph, and
/// starts when you say so. A goal that is one of the words `check` and `schema` comes after `--`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// What is to be reached
    goal: Option<String>,
    /// Write the plan to this file, and start nothing
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file, if there is one
    #[arg(long, requires = "output")]
    force: bool,
    #[command(flatten)]
    issues: IssueArgs,
    /// The agent that plans
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Check a plan file or a Markdown document, and name every problem
    Check {
        /// The file; `-` reads standard input
        file: PathBuf,
    },
    /// Print the JSON Schema of plan files
    Schema,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    if !args.issues.issues.is_empty() {
        return planner::of_issues(args, cx).await;
    }
    match (&args.command, &args.goal) {
        (Some(Command::Check { file }), _) => check(file, cx),
        (Some(Command::Schema), _) => {
            output::line(plan::schema().trim_end());
            Ok(0)
        }
        (None, Some(goal)) => {
            is_no_slip(goal)?;
            planner::run(args, goal, cx).await
        }
        (None, None) => Err(Failure::usage("there is nothing to plan")
            .fix("musher plan \"WHAT IS TO BE REACHED\", or `musher plan check FILE`, or `musher plan schema`")),
    }
}

fn check(file: &PathBuf, cx: &Context) -> Outcome {
    let plan = read(file)?;
    let items = plan.items.len();
    let document = serde_json::json!({"ok": true, "goal": plan.goal, "items": items});
    cx.say(&document, || output::line(&format!("{}: {items} item(s), no problem", plan.goal)))
}

/// Refuses a goal that is a misspelt command: an agent would be paid for it.
fn is_no_slip(goal: &str) -> Result<(), Failure> {
    const COMMANDS: [&str; 2] = ["check", "schema"];
    match nearest(goal, COMMANDS.into_iter()) {
        Some(command) if !COMMANDS.contains(&goal) => Err(Failure::usage(format!("`{goal}` is no command of `plan`"))
            .fix(format!("did you mean `musher plan {command}`? A goal is better said in more than a word"))),
        Some(_) | None => Ok(()),
    }
}

/// The largest plan that is read, in bytes.
const LARGEST: u64 = 512 << 20;

/// Reads and checks a plan; `-` is standard input.
pub(crate) fn read(file: &PathBuf) -> Result<Plan, Failure> {
    use std::io::Read;
    let name = if file.as_os_str() == "-" { "-".to_owned() } else { file.display().to_string() };
    let mut bytes = Vec::new();
    let reading = if name == "-" {
        std::io::stdin().lock().take(LARGEST).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|f| f.take(LARGEST).read_to_end(&mut bytes))
    };
    reading.map_err(|error| {
        Failure::usage(format!("the plan `{name}` cannot be read"))
            .why(error.to_string())
            .fix("name a file that exists; `musher plan schema` says what is in it")
    })?;
    plan::parse(&name, &bytes).map_err(|problems| {
        Failure::usage(format!("the plan `{name}` cannot be used"))
            .why(problems.to_string())
            .fix("mend what is named; `musher plan check` looks again, `musher plan schema` says what is allowed")
    })
}
