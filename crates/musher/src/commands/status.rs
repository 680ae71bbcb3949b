//! `musher status`.

use std::time::Duration;

use musher_engine::{Clock, SystemClock};
use musher_server::api::{EventQuery, Status};
use musher_server::client::Client;

use crate::connect::Context;
use crate::error::Outcome;
use crate::live::{Screen, overview};
use crate::output;

/// Show how everything stands: who works on what, and who waits for what
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Draw it again whenever something happens
    #[arg(long)]
    watch: bool,
}

/// How often the elapsed times are drawn anew while a terminal looks on.
const TICK: Duration = Duration::from_secs(1);

/// How many events pass by at most before it is drawn anew.
const BURST: usize = 1_000;

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    let status = client.status().await?;
    if args.watch {
        return watch(&client, cx, status).await;
    }
    cx.say(&status, || print(&status))
}

async fn watch(client: &Client, cx: &Context, mut status: Status) -> Outcome {
    let after = status.last_seq;
    let mut events = client.follow_events(&EventQuery { after, ..EventQuery::default() }).await?;
    let mut screen = if cx.json { None } else { Screen::open() };
    let mut tick = tokio::time::interval(TICK);
    loop {
        match &mut screen {
            Some(screen) => screen.draw(&overview(&status, SystemClock.now(), Screen::size())),
            None => {
                cx.say(&status, || print(&status))?;
            }
        }
        tokio::select! {
            event = events.next() => match event? {
                // Events that a status has seen already change nothing in it.
                Some(event) if event.seq <= status.last_seq => {}
                Some(_) => {
                    // One look for all of a burst.
                    let mut passed = 0;
                    while passed < BURST && events.ready().await?.is_some() {
                        passed += 1;
                    }
                    status = client.status().await?;
                }
                None => return Ok(0),
            },
            _ = tick.tick(), if screen.is_some() => {}
        }
    }
}

fn print(status: &Status) {
    let size = (Screen::size().0, usize::MAX);
    overview(status, SystemClock.now(), size).iter().for_each(|line| output::line(line));
}
