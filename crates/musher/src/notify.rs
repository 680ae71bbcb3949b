//! What systemd is told of the daemon: that it is ready, that it stops, and that its loop still answers.
//!
//! Without a service manager that wants to know (`NOTIFY_SOCKET`, `WATCHDOG_USEC`; sd_notify(3)) nothing is said and
//! nothing wakes up.

use std::time::Duration;

use musher_engine::Engine;
use sd_notify::NotifyState;
use tracing::warn;

/// What cannot be said stops nothing: the manager judges a silent service by its own rules.
fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "the service manager cannot be told how the daemon stands");
    }
}

/// It answers now; one line says what it found.
pub(crate) fn ready(found: &str) {
    say(&[NotifyState::Ready, NotifyState::Status(found)]);
}

/// It has begun to stop.
pub(crate) fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// How often the manager wants a sign of life, if it wants any: half of its deadline, so that a late one is in time.
fn wanted() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|deadline| deadline / 2).filter(|every| !every.is_zero())
}

/// Gives a sign of life for as long as the engine answers. One whose loop is stuck gives none and is started anew, which
/// costs its agents nothing.
pub(crate) async fn keep_alive(engine: Engine) {
    let Some(every) = wanted() else { return };
    let mut tick = tokio::time::interval(every);
    loop {
        tick.tick().await;
        if engine.read(|_| ()).await.is_err() {
            return;
        }
        say(&[NotifyState::Watchdog]);
    }
}
