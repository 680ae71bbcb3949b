//! `musher sink`.

use musher_server::api::Sink;

use crate::connect::Context;
use crate::error::{Exit, Outcome};
use crate::output::{self, Table, Tone};

/// Sinks: who is sent events as they happen, and whether that works
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the sinks: how far each has come, and what is wrong with it
    List,
    /// Send a test to a sink and show how it was answered; one that takes it is tried again at once
    Test {
        /// Its name
        name: String,
    },
}

pub(crate) async fn run(command: &Command, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    match command {
        Command::List => {
            let list = client.sinks().await?;
            cx.say(&list, || {
                let mut table = Table::new(&["name", "kind", "to", "state", "cursor", "behind", "next try", "why"]);
                list.sinks.iter().for_each(|sink| table.row(row(sink)));
                table.print("no sinks; `[[sinks]]` in musher.toml");
            })
        }
        Command::Test { name } => {
            let tested = client.test_sink(name).await?;
            let said = cx.say(&tested, || output::line(&format!("{}: {}", tested.name, tested.answer)))?;
            Ok(if tested.ok { said } else { Exit::Failed.code() })
        }
    }
}

fn row(sink: &Sink) -> Vec<(String, Tone)> {
    let failing = sink.state == "failing";
    let state = match sink.failing_since {
        Some(since) => format!("failing since {}", moment(since)),
        None => sink.state.clone(),
    };
    vec![
        (sink.name.clone(), Tone::Strong),
        (sink.kind.clone(), Tone::Plain),
        (output::one_line(&sink.to, 40), Tone::Plain),
        (state, if failing { Tone::Bad } else { Tone::Good }),
        (sink.cursor.to_string(), Tone::Plain),
        (sink.behind.to_string(), Tone::Plain),
        (sink.next_try_at.map(moment).unwrap_or_default(), Tone::Plain),
        (output::one_line(sink.error.as_deref().unwrap_or_default(), 100), Tone::Bad),
    ]
}

/// To the second.
fn moment(at: musher_core::time::Timestamp) -> String {
    let text = at.to_string();
    text.split_once('.').map_or_else(|| text.clone(), |(seconds, _)| format!("{seconds}Z"))
}
