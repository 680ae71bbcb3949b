//! What happened, a line an event, for logs and for people who read along.

use musher_core::event::Happened;

use crate::output::{Tone, one_line};

/// The longest that a line says of what others wrote, in characters.
const WIDE: usize = 160;

/// An event in words, with its tone; nothing for events that only machines want.
pub(crate) fn say(happened: &Happened, agent: Option<&str>) -> Option<(String, Tone)> {
    let by = agent.map(|a| format!(" by {a}")).unwrap_or_default();
    let plain = |text: String| Some((text, Tone::Plain));
    let good = |text: String| Some((text, Tone::Good));
    let bad = |text: String| Some((text, Tone::Bad));
    let quiet = |text: String| Some((text, Tone::Quiet));
    match happened {
        Happened::MissionStarted { goal, items } => {
            Some((format!("mission started: {} ({items} items)", one_line(goal, WIDE)), Tone::Strong))
        }
        Happened::MissionApproved {} => plain("mission approved".to_owned()),
        Happened::MissionBlocked { reason } => bad(format!("mission blocked: {}", one_line(reason, WIDE))),
        Happened::MissionUnblocked {} => plain("mission goes on".to_owned()),
        Happened::MissionPaused { reason } => plain(format!("mission paused: {}", one_line(reason, WIDE))),
        Happened::MissionResumed {} => plain("mission resumed".to_owned()),
        Happened::MissionWeighed { weight } => plain(format!("mission weighs {weight}")),
        Happened::MissionCompleted {} => good("mission completed".to_owned()),
        Happened::MissionFailed { reason } => bad(format!("mission failed: {}", one_line(reason, WIDE))),
        Happened::MissionCancelled {} => bad("mission cancelled".to_owned()),
        Happened::CommandIgnored { text } => quiet(one_line(text, WIDE)),
        Happened::NoteApplied { text, effect } => {
            plain(format!("note \"{}\": {}", one_line(text, 60), one_line(effect, WIDE)))
        }
        Happened::DeliveryFellBack { branch } => {
            plain(format!("no gate is configured, so the work is merged into {branch} and not into the base branch"))
        }
        Happened::ItemAssigned { attempt: 1 } => quiet(format!("taken{by}")),
        Happened::ItemAssigned { attempt } => quiet(format!("taken{by}, attempt {attempt}")),
        Happened::ItemVerified { .. } => None,
        Happened::PlanAccepted { goal, items } => good(format!("a plan of {items} item(s): {}", one_line(goal, WIDE))),
        Happened::ItemInspected { files, insertions, deletions, .. } => {
            plain(format!("changed {files} file(s), +{insertions} −{deletions}"))
        }
        Happened::ItemRefused { reason, .. } => bad(format!("refused: {}", one_line(reason, WIDE))),
        Happened::ItemWaiting { on } => plain(format!("waits for {on}")),
        Happened::ItemDone { commit: Some(_) } | Happened::ItemReady { .. } => None,
        Happened::ItemDone { commit: None } => good("done, nothing to merge".to_owned()),
        Happened::ItemRetrying { error, attempts, not_before, .. } => {
            let when = if not_before.is_some() { " after a pause" } else { "" };
            plain(format!("tries again{when} ({attempts} failed so far): {}", one_line(error, WIDE)))
        }
        Happened::ItemFailed { .. } => None,
        Happened::ItemBlocked { reason } => bad(format!("blocked: {}", one_line(reason, WIDE))),
        Happened::ItemHeld { reason, .. } => plain(format!("held: {}", one_line(reason, WIDE))),
        Happened::OrphanSettled { sort, name, outcome, why } => {
            let (sort, outcome) = (format!("{sort:?}").to_lowercase(), format!("{outcome:?}").to_lowercase());
            quiet(format!("{sort} {} that nobody owns: {outcome} ({})", one_line(name, WIDE), one_line(why, WIDE)))
        }
        Happened::ItemFrozen { reason } => plain(format!("frozen: {}", one_line(reason, WIDE))),
        Happened::ItemDemoted { reason, .. } => plain(format!("back to the start: {}", one_line(reason, WIDE))),
        Happened::ItemSuperseded { by, .. } => plain(format!("its work is done by {by}")),
        Happened::ItemReopened { key, .. } => plain(format!("has a follow-up, {key}")),
        Happened::ItemReleased { to } => plain(format!("released, {} again", to.name())),
        Happened::ItemSkipped {} => plain("counts as done (skipped)".to_owned()),
        Happened::ItemRetried {} => plain("given a fresh start".to_owned()),
        Happened::ItemCancelled { reason } => bad(format!("cancelled: {}", one_line(reason, WIDE))),
        Happened::ItemDeadLettered { reason } => bad(format!("failed: {}", one_line(reason, WIDE))),
        Happened::ItemReprioritised { priority } => plain(format!("is of {} priority now", priority.name())),
        Happened::QuotaWarning { scope, cap, used, limit } => {
            let (used, limit) = (cap.show(*used), cap.show(*limit));
            quiet(format!("{} has used {used} of {limit}, its {}", one_line(scope, WIDE), cap.name()))
        }
        Happened::QuotaExceeded { scope, cap, used, limit } => {
            let (used, limit) = (cap.show(*used), cap.show(*limit));
            bad(format!("{} has used up its {}: {used} of {limit}", one_line(scope, WIDE), cap.name()))
        }
        Happened::QuotaSet { scope, key, value } => {
            plain(format!("quota of {}: {key} is {}", one_line(scope, WIDE), one_line(value, WIDE)))
        }
        Happened::DispatchFailedNoAgent { why } | Happened::DispatchFailedQuota { why } => {
            bad(format!("finds no agent: {}", one_line(why, WIDE)))
        }
        Happened::RunFinished { outcome, class, message, .. } => match class {
            Some(class) => bad(format!("run {outcome} ({}): {}", class.name(), one_line(message, WIDE))),
            None if message.is_empty() => plain(format!("run {outcome}")),
            None => plain(format!("run {outcome}: {}", one_line(message, WIDE))),
        },
        Happened::RunStopping { .. } => plain("its run is being ended".to_owned()),
        Happened::WorktreeFailed { error } => bad(format!("its worktree cannot be made: {}", one_line(error, WIDE))),
        Happened::WorktreeKept { reason } => plain(format!("its worktree stays: {}", one_line(reason, WIDE))),
        // Known from an earlier run on the same tree: no news.
        Happened::GateFinished { green: true, cached: true, .. } => None,
        Happened::GateFinished { green: true, .. } => good("gate green".to_owned()),
        Happened::GateFinished { green: false, .. } => bad("gate red".to_owned()),
        Happened::ReviewRequested { of } => plain(format!("review asked of {of}")),
        Happened::ReviewApproved { text } => good(format!("approved {}", one_line(text, WIDE)).trim_end().to_owned()),
        Happened::ReviewRejected { text } => bad(format!("rejected: {}", one_line(text, WIDE))),
        Happened::MergeRestarted { why } => quiet(format!("merge made anew: {}", one_line(why, WIDE))),
        Happened::QueuePaused { why } => bad(format!("the merge queue is paused: {}", one_line(why, WIDE))),
        Happened::QueueResumed {} => good("the merge queue goes on".to_owned()),
        Happened::GateFlaky { .. } => bad("the gate was red and is green on the same tree: it is flaky".to_owned()),
        Happened::MergeHeld { why, .. } => bad(format!("merge waits: {}", one_line(why, WIDE))),
        Happened::MergeFailed { failure, detail } => {
            bad(format!("merge failed ({failure}): {}", one_line(detail, WIDE)))
        }
        Happened::BranchRebased { .. } => plain("rebased onto the newest base".to_owned()),
        Happened::MergeDone { commit, target } => {
            let short: String = commit.chars().take(8).collect();
            good(format!("merged into {} as {short}", target.trim_start_matches("refs/heads/")))
        }
        Happened::ApprovalRequested { request, action, .. } => Some((
            format!("asks to {} (musher allow {})", one_line(&action.text(), WIDE), request.short()),
            Tone::Strong,
        )),
        Happened::ApprovalDecided { action, ruled, by, .. } => {
            quiet(format!("{} by {by}: {}", ruled.name(), one_line(&action.text(), WIDE)))
        }
        Happened::ItemAdded { key, title, by } => {
            plain(format!("item {key} is new, added at work on {by}: {}", one_line(title, WIDE)))
        }
        Happened::ProgressReported { text } => quiet(one_line(text, WIDE)),
        Happened::HelpRequested { request, text } => {
            Some((format!("asks: {} (musher answer {} \"TEXT\")", one_line(text, WIDE), request.short()), Tone::Strong))
        }
        Happened::MissionHelpRequested { text, replies, .. } => {
            let reply = replies.first().map(|reply| format!(" ({reply})")).unwrap_or_default();
            Some((format!("{}{reply}", one_line(text, WIDE)), Tone::Strong))
        }
        Happened::MissionHelpRetired { .. } => quiet("needs no help any more".to_owned()),
        Happened::HelpAnswered { text, by, .. } => plain(format!("is answered by {by}: {}", one_line(text, WIDE))),
        Happened::MessagePosted { to, text, .. } => quiet(format!("says to {to}: {}", one_line(text, WIDE))),
        Happened::MessageSent { text, .. } => plain(format!("is told: {}", one_line(text, WIDE))),
        Happened::MessageUndelivered {} => {
            bad("did not get a message: its program has no way, or it was over".to_owned())
        }
        Happened::LimitReached { text, .. } => bad(format!("is stopped: {}", one_line(text, WIDE))),
        Happened::AgentRateLimited { until } => {
            bad(format!("the account of {} rests until {until}", agent.unwrap_or("an agent")))
        }
        Happened::AgentRateLimitLifted {} => plain(format!("{} takes work again", agent.unwrap_or("an agent"))),
        Happened::AgentRestarted { .. } => plain(format!("{} is restarted", agent.unwrap_or("an agent"))),
        Happened::ItemFailoverAllowed {} => plain("may go to another account".to_owned()),
        Happened::ItemHandedOver { from } => plain(format!("is handed over from {from}")),
        Happened::DriverPaused { driver, until, why } => {
            bad(format!("the driver {driver} is paused until {until}: {}", one_line(why, WIDE)))
        }
        Happened::DriverProbed { driver } => plain(format!("one run tries the driver {driver}")),
        Happened::DriverResumed { driver } => good(format!("the driver {driver} works again")),
        Happened::AgentOffline { name, why } => bad(format!("agent {name} takes no work: {}", one_line(why, WIDE))),
        Happened::DeliveryFailed { sink, error, .. } => {
            bad(format!("sink {sink} takes no events: {}", one_line(error, WIDE)))
        }
        Happened::DeliveryRecovered { sink, .. } => good(format!("sink {sink} takes events again")),
        Happened::DeliveryDeadLettered { sink, event, error, .. } => {
            bad(format!("sink {sink} never took event {}: {}", event.0, one_line(error, WIDE)))
        }
        Happened::RelayRestarted { held, .. } => {
            bad(format!("the hub held event {}, which this log does not have; it is told the log anew", held.0))
        }
        Happened::RelayReceived { name, events, .. } => quiet(format!("{} told {events} event(s)", one_line(name, 60))),
        Happened::ProjectForgotten { name, events, .. } => {
            plain(format!("forgot {} with {events} event(s)", one_line(name, 60)))
        }
        Happened::BranchPushed { branch, .. } => quiet(format!("{} is pushed", one_line(branch, WIDE))),
        Happened::PullOpened { url, draft, .. } => {
            let draft = if *draft { ", a draft" } else { "" };
            plain(format!("has a pull request{draft}: {}", one_line(url, WIDE)))
        }
        Happened::PullReady { number } => plain(format!("pull request #{number} is ready")),
        Happened::PullWaits { number, text } => {
            plain(format!("pull request #{number} waits for you: {}", one_line(text, WIDE)))
        }
        Happened::PullQueued { number } => plain(format!("the forge merges #{number} when its rules are satisfied")),
        Happened::PullReviewed { number, verdict, own } => {
            let how = if *own { " as a comment, for the account is the one that opened it" } else { "" };
            plain(format!("the review is posted on #{number}: {}{how}", verdict.replace('_', " ")))
        }
        Happened::PullNotReviewed { number, error } => {
            bad(format!("the review cannot be posted on #{number}: {}", one_line(error, WIDE)))
        }
        Happened::PullMerged { number, .. } => good(format!("pull request #{number} is merged")),
        Happened::CommentDisobeyed { number, author } => {
            quiet(format!("a note of {author} on #{number} was not obeyed: they may not write to the repository"))
        }
        Happened::PullClosed { number } => bad(format!("pull request #{number} was closed without a merge")),
        Happened::ChecksRerun { checks, started: true, .. } => {
            plain(format!("failed checks run again: {}", one_line(&checks.join(", "), WIDE)))
        }
        Happened::ChecksRerun { started: false, .. } => None,
        Happened::WatchTriggered { watch, text, .. } => bad(format!("{watch}: {}", one_line(text, WIDE))),
        Happened::WatchDone { watch, text } => good(format!("{watch}: {}", one_line(text, WIDE))),
        Happened::WatchFailed { watch, error } => bad(format!("a look at {watch} failed: {}", one_line(error, WIDE))),
        Happened::WatchesOverridden { count, by, which } => {
            let which =
                if which.is_empty() { String::new() } else { format!(": {}", one_line(&which.join(", "), WIDE)) };
            plain(format!("{count} watch(es) overridden by {}{which}", one_line(by, WIDE)))
        }
        Happened::WatchAdded { watch, target, .. } => {
            plain(format!("is watched for {watch} {}", one_line(target, WIDE)))
        }
        Happened::WatchSnoozed { watch, until } => plain(format!("{watch} rests until {until}")),
        Happened::ScheduleFired { schedule, missed: 0, .. } => plain(format!("schedule {schedule} fires")),
        Happened::ScheduleFired { schedule, missed, .. } => {
            plain(format!("schedule {schedule} fires, for {missed} missed moment(s), too"))
        }
        Happened::ScheduleSkipped { schedule, count, why, .. } => {
            quiet(format!("schedule {schedule} leaves {count} moment(s) out: {}", one_line(why, WIDE)))
        }
        Happened::ScheduleFinished { schedule, outcome, text, .. } => {
            let said = format!("schedule {schedule}: {}: {}", outcome.replace('_', " "), one_line(text, WIDE));
            if matches!(&**outcome, "failed" | "timed_out") { bad(said) } else { plain(said) }
        }
        Happened::SchedulePaused { schedule, why } => {
            bad(format!("schedule {schedule} is paused: {}", one_line(why, WIDE)))
        }
        Happened::ScheduleEnabled { schedule, .. } => plain(format!("schedule {schedule} is enabled")),
        Happened::ScheduleDisabled { schedule, why } => {
            plain(format!("schedule {schedule} is disabled: {}", one_line(why, WIDE)))
        }
        Happened::TriggerFired { trigger, event, event_kind, .. } => {
            plain(format!("trigger {trigger} fires on {event_kind} (event {})", event.0))
        }
        Happened::TriggerStopped { trigger, why, .. } => {
            quiet(format!("trigger {trigger} is stopped: {}", one_line(why, WIDE)))
        }
        Happened::TriggerSkipped { trigger, why, .. } => {
            bad(format!("trigger {trigger} leaves an event out: {}", one_line(why, WIDE)))
        }
        Happened::TriggerFailed { trigger, error, failures, .. } => {
            bad(format!("trigger {trigger} failed ({failures} in a row), and tries again: {}", one_line(error, WIDE)))
        }
        Happened::TriggerFinished { trigger, outcome, text, .. } => {
            let said = format!("trigger {trigger}: {outcome}: {}", one_line(text, WIDE));
            if &**outcome == "failed" { bad(said) } else { plain(said) }
        }
        Happened::TriggerPaused { trigger, why } => {
            bad(format!("trigger {trigger} is paused: {}", one_line(why, WIDE)))
        }
        Happened::TriggerEnabled { trigger } => plain(format!("trigger {trigger} is enabled")),
        Happened::TriggerDisabled { trigger, why, .. } => {
            plain(format!("trigger {trigger} is disabled: {}", one_line(why, WIDE)))
        }
        Happened::TriggerExpired { trigger } => plain(format!("trigger {trigger} has expired")),
        Happened::AgentOnline { name } => plain(format!("agent {name} takes work")),
        Happened::ItemMerging {}
        | Happened::ScheduleDefined { .. }
        | Happened::TriggerDefined { .. }
        | Happened::ScheduleReported { .. }
        | Happened::RunStarted { .. }
        | Happened::ApprovalWithdrawn { .. }
        | Happened::ResultSubmitted { .. }
        | Happened::VerdictSubmitted { .. }
        | Happened::MessagesRead { .. }
        | Happened::UsageRecorded { .. }
        | Happened::QuotaReturned { .. }
        | Happened::WorktreeCreated { .. }
        | Happened::WorktreeRemoved {}
        | Happened::GateStarted { .. }
        | Happened::MergeStarted {}
        | Happened::AgentDefined { .. }
        | Happened::SettingsChanged {}
        | Happened::ConfigRejected { .. }
        | Happened::ConfigAccepted {}
        | Happened::DaemonStarted { .. } => None,
    }
}
