//! `musher status`.

use musher_server::api::{EventQuery, Status};
use musher_server::client::Client;

use crate::connect::Context;
use crate::error::Outcome;
use crate::live::Screen;
use crate::output::{self, Tone, paint};

/// Show how everything stands
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Draw it again whenever something happens
    #[arg(long)]
    watch: bool,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    let status = client.status().await?;
    if args.watch {
        return watch(&client, cx, status).await;
    }
    cx.say(&status, || lines(&status).iter().for_each(|l| output::line(l)))
}

async fn watch(client: &Client, cx: &Context, mut status: Status) -> Outcome {
    let after = status.last_seq;
    let mut events = client.follow_events(&EventQuery { after, ..EventQuery::default() }).await?;
    let mut screen = if cx.json { None } else { Screen::open() };
    loop {
        match &mut screen {
            Some(screen) => screen.draw(&lines(&status)),
            None => {
                cx.say(&status, || lines(&status).iter().for_each(|l| output::line(l)))?;
            }
        }
        match events.next().await? {
            Some(_) => status = client.status().await?,
            None => return Ok(0),
        }
    }
}

fn lines(status: &Status) -> Vec<String> {
    let (width, _) = Screen::size();
    let daemon = &status.daemon;
    let mut lines = vec![format!(
        "musher {} on {} (pid {}), up {}",
        daemon.version,
        daemon.node,
        daemon.pid,
        output::span(daemon.uptime_s)
    )];
    let counts = |of: &std::collections::BTreeMap<String, u32>| {
        let parts: Vec<String> = of
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(state, n)| paint(&format!("{n} {}", state.replace('_', " ")), Tone::of_state(state)))
            .collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    };
    lines.push(format!("  missions  {}", counts(&status.missions)));
    lines.push(format!("  items     {}", counts(&status.items)));
    let agents: Vec<String> =
        status.agents.iter().map(|a| paint(&format!("{} {}", a.name, a.status), Tone::of_state(&a.status))).collect();
    lines.push(format!("  agents    {}", if agents.is_empty() { "none".to_owned() } else { agents.join(", ") }));
    for entry in &status.queue {
        lines.push(format!("  merging   {} ({})", entry.key, entry.stage));
    }
    if status.cost_today_usd > 0.0 {
        lines.push(format!("  today     {}", output::dollars(status.cost_today_usd)));
    }
    for sink in status.sinks.iter().filter(|sink| sink.state == "failing") {
        let error = sink.error.as_deref().unwrap_or_default();
        let text = format!("sink {} fails, {} behind: {error}", sink.name, sink.behind);
        lines.push(format!("  events    {}", paint(&output::one_line(&text, width.saturating_sub(12)), Tone::Bad)));
    }
    for entry in &status.inbox {
        lines.push(format!(
            "  for you   {}",
            paint(&output::one_line(&entry.text, width.saturating_sub(12)), Tone::Bad)
        ));
        if let Some(reply) = entry.replies.first() {
            lines.push(paint(&format!("            {reply}"), Tone::Quiet));
        }
    }
    lines
}
