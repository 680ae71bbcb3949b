//! `musher plan`.

use std::path::PathBuf;

use musher_core::plan::{self, Plan};

use crate::connect::Context;
use crate::error::{Failure, Outcome};
use crate::output;

/// Plans: check one, or learn how one is written
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

pub(crate) fn run(command: &Command, cx: &Context) -> Outcome {
    match command {
        Command::Check { file } => {
            let plan = read(file)?;
            let items = plan.items.len();
            let document = serde_json::json!({"ok": true, "goal": plan.goal, "items": items});
            cx.say(&document, || output::line(&format!("{}: {items} item(s), no problem", plan.goal)))
        }
        Command::Schema => {
            output::line(plan::schema().trim_end());
            Ok(0)
        }
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
