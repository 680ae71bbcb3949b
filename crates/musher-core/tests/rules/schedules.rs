//! Schedules: every planned moment fires once, whatever becomes of musher and its clock in between.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use musher_core::action::{Action, PlanFrom};
use musher_core::command::{Answer, Command, Refused, Report};
use musher_core::event::Happened;
use musher_core::firing::{FAILURES_IN_A_ROW, FiringState, Prepared};
use musher_core::id::ScheduleId;
use musher_core::mission::{MissionState, Policy};
use musher_core::schedule::{
    Check, Cron, CronProblem, MOST_MADE_UP, Misfire, Notify, Overlap, RunOn, ScheduleSpec, When,
};
use musher_core::time::Timestamp;

use crate::world::{World, ann, item};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn spec(name: &str, when: When) -> ScheduleSpec {
    ScheduleSpec {
        name: name.into(),
        when,
        check: None,
        action: Action::Prompt { text: "Look after it".into(), agent: None },
        overlap: Overlap::Skip,
        misfire: Misfire::Once,
        timeout_secs: 30 * 60,
        notify: Notify::Failures,
        enabled: true,
        policy: Policy::default(),
    }
}

fn every(secs: u64) -> When {
    When::Every { secs }
}

fn cron(expression: &str, tz: &str) -> When {
    When::Cron { expression: expression.into(), tz: tz.into() }
}

fn add(w: &mut World, spec: ScheduleSpec) -> ScheduleId {
    match w.say(&ann(), Command::AddSchedule(Box::new(spec))) {
        Ok(Answer::Schedule(id)) => id,
        other => panic!("no schedule: {other:?}"),
    }
}

/// The next planned moment comes, and nothing later.
fn come(w: &mut World, id: ScheduleId) {
    let due = w.state.schedule(id).unwrap().due.unwrap();
    at(w, due);
}

/// It is this moment.
fn at(w: &mut World, moment: Timestamp) {
    w.now = moment;
    w.settle();
}

/// Answers what the live firing asked as well as can be.
fn go(w: &mut World) {
    let effect = w.state.effects().find(|e| e.kind.name() == "prepare_firing").unwrap().clone();
    let report = w.happy(&effect);
    w.ok(Command::Report(effect.id, report));
}

/// Answers what the live firing asked.
fn answer(w: &mut World, prepared: Prepared) {
    let effect = w.state.effects().find(|e| e.kind.name() == "prepare_firing").unwrap().id;
    w.ok(Command::Report(effect, Report::FiringPrepared(prepared)));
}

fn unneeded(w: &mut World) {
    answer(w, Prepared::Unneeded { text: "exit 0".into() });
}

fn fail(w: &mut World) {
    answer(w, Prepared::Failed { error: "no such program".into() });
}

/// What was said of schedules, in words.
fn said(w: &World) -> Vec<String> {
    let word = |happened: &Happened| {
        Some(match happened {
            Happened::ScheduleFired { missed: 0, .. } => "fired".to_owned(),
            Happened::ScheduleFired { missed, .. } => format!("fired for {missed} more"),
            Happened::ScheduleSkipped { count, .. } => format!("skipped {count}"),
            Happened::ScheduleFinished { outcome, .. } => outcome.to_string(),
            Happened::ScheduleReported { text, .. } => format!("told: {text}"),
            Happened::SchedulePaused { .. } => "paused".to_owned(),
            Happened::ScheduleDisabled { .. } => "disabled".to_owned(),
            _ => return None,
        })
    };
    w.events.iter().filter_map(|event| word(&event.happened)).collect()
}

fn due_moments(w: &World) -> Vec<Timestamp> {
    let due = |happened: &Happened| match happened {
        Happened::ScheduleFired { due, .. } => Some(*due),
        _ => None,
    };
    w.events.iter().filter_map(|event| due(&event.happened)).collect()
}

#[test]
fn a_moment_that_is_due_fires_at_once_and_the_next_is_counted_from_it() {
    let mut w = World::with_agents(1);
    let start = w.now;
    let id = add(&mut w, spec("often", every(600)));
    for n in 1..=3u32 {
        let planned = start.after(Duration::from_secs(600 * u64::from(n)));
        // A busy machine is late; the plan is not moved by that.
        at(&mut w, planned.after(Duration::from_secs(7)));
        assert_eq!(w.state.schedule(id).unwrap().due, Some(planned.after(Duration::from_secs(600))));
        unneeded(&mut w);
    }
    let planned: Vec<_> = (1..=3u64).map(|n| start.after(Duration::from_secs(600 * n))).collect();
    assert_eq!(due_moments(&w), planned);
}

#[test]
fn nothing_is_due_before_its_moment_or_once_it_was() {
    let mut w = World::new();
    let once = w.now.after(HOUR);
    let id = add(&mut w, spec("once", When::At(once)));
    at(&mut w, Timestamp::from_micros(once.as_micros() - 1));
    assert_eq!(said(&w), Vec::<String>::new());
    assert_eq!(w.state.next_due(), Some(once));
    at(&mut w, once);
    assert_eq!(said(&w), ["fired"]);
    unneeded(&mut w);
    let row = w.state.schedule(id).unwrap();
    assert_eq!((row.due, row.status()), (None, "over"));
    let again = w.refused(Command::EnableSchedule(id));
    assert!(again.to_string().contains("over"), "{again}");
}

#[test]
fn what_becomes_of_missed_moments_by_downtime_and_policy() {
    // Planned every minute. How long musher was away; the policy; what is said at its return.
    let day: u32 = 24 * 60;
    let table: [(Duration, Misfire, Vec<String>); 9] = [
        (Duration::from_secs(50), Misfire::Once, vec!["fired".into()]),
        (Duration::from_secs(50), Misfire::All, vec!["fired".into()]),
        (Duration::from_secs(50), Misfire::None, vec!["fired".into()]),
        (MINUTE * 5, Misfire::Once, vec!["fired for 5 more".into()]),
        (MINUTE * 5, Misfire::All, vec!["fired".into(); 6]),
        // The last two are within the minute that counts as met.
        (MINUTE * 5, Misfire::None, vec!["skipped 4".into(), "fired".into(), "fired".into()]),
        (DAY, Misfire::Once, vec![format!("fired for {day} more")]),
        (DAY * 30, Misfire::Once, vec!["fired for 10000 more".into()]),
        (DAY * 30, Misfire::None, vec!["skipped 10000".into(), "fired".into(), "fired".into()]),
    ];
    for (away, misfire, wanted) in table {
        let mut w = World::new();
        let id = add(&mut w, ScheduleSpec { misfire, overlap: Overlap::Queue, ..spec("often", every(60)) });
        let due = w.state.schedule(id).unwrap().due.unwrap();
        w.restart();
        at(&mut w, due.after(away));
        while w.state.effects().next().is_some() {
            unneeded(&mut w);
        }
        let told: Vec<String> = said(&w).into_iter().filter(|word| word != "unneeded").collect();
        assert_eq!(told, wanted, "{away:?} {misfire:?}");
        let next = w.state.schedule(id).unwrap().due.unwrap();
        assert!(next > w.now && next.since(w.now) <= MINUTE, "{away:?} {misfire:?}");
        assert_eq!(next.since(due).as_secs() % 60, 0, "the plan is kept");
    }
}

#[test]
fn all_makes_up_for_the_last_thousand() {
    let mut w = World::new();
    let id = add(&mut w, ScheduleSpec { misfire: Misfire::All, overlap: Overlap::Queue, ..spec("often", every(60)) });
    let due = w.state.schedule(id).unwrap().due.unwrap();
    at(&mut w, due.after(DAY));
    let looked = 24 * 60 + 1;
    let skipped: u32 = w
        .events
        .iter()
        .filter_map(|event| match event.happened {
            Happened::ScheduleSkipped { count, .. } => Some(count),
            _ => None,
        })
        .sum();
    let row = w.state.schedule(id).unwrap();
    // One is live, a hundred wait, and every other of the thousand was skipped for that.
    assert_eq!((due_moments(&w).len(), row.queued.len()), (1, 100));
    assert_eq!(skipped as usize, looked - MOST_MADE_UP + MOST_MADE_UP - 101);
    let first = due_moments(&w)[0];
    assert_eq!(first, due.after(Duration::from_secs(60 * (looked - MOST_MADE_UP) as u64)));
}

#[test]
fn a_clock_that_is_set_back_fires_no_moment_twice() {
    let mut w = World::new();
    let id = add(&mut w, spec("hourly", cron("0 * * * *", "")));
    for _ in 0..5 {
        come(&mut w, id);
        unneeded(&mut w);
    }
    let before = due_moments(&w);
    w.now = w.now.before(HOUR * 3);
    w.settle();
    w.restart();
    for _ in 0..3 {
        let now = w.now.after(HOUR);
        at(&mut w, now);
    }
    if w.state.effects().next().is_some() {
        unneeded(&mut w);
    }
    come(&mut w, id);
    let all = due_moments(&w);
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len());
    assert_eq!(all[..5], before[..]);
}

#[test]
fn what_is_due_while_a_firing_is_live() {
    let rows = |overlap| {
        let mut w = World::with_agents(1);
        let id = add(&mut w, ScheduleSpec { overlap, ..spec("often", every(60)) });
        come(&mut w, id);
        come(&mut w, id);
        come(&mut w, id);
        (w, id)
    };
    let (w, _) = rows(Overlap::Skip);
    assert_eq!(said(&w), ["fired", "skipped 1", "skipped 1"]);
    let (mut w, id) = rows(Overlap::Queue);
    assert_eq!(said(&w), ["fired"]);
    unneeded(&mut w);
    unneeded(&mut w);
    unneeded(&mut w);
    assert_eq!(said(&w), ["fired", "unneeded", "fired", "unneeded", "fired", "unneeded"]);
    assert_eq!(w.state.schedule(id).unwrap().status(), "armed");
    let (w, _) = rows(Overlap::Replace);
    assert_eq!(said(&w), ["fired", "cancelled", "fired", "cancelled", "fired"]);
    assert_eq!(w.state.effects().count(), 1, "what the replaced ones asked is not wanted any more");
}

#[test]
fn moments_that_wait_under_an_earlier_definition_do_not_run_beside_the_one_that_replaces() {
    let mut w = World::with_agents(1);
    let sync = |w: &mut World, specs: &[ScheduleSpec]| w.ok(Command::SyncSchedules(specs.to_vec()));
    let queued = ScheduleSpec { overlap: Overlap::Queue, ..spec("often", every(60)) };
    sync(&mut w, std::slice::from_ref(&queued));
    let id = w.state.schedule_named("often").unwrap().id;
    (0..3).for_each(|_| come(&mut w, id));
    sync(&mut w, &[ScheduleSpec { overlap: Overlap::Replace, ..queued }]);
    come(&mut w, id);
    assert_eq!(said(&w), ["fired", "cancelled", "skipped 2", "fired"]);
    assert_eq!(w.state.effects().count(), 1);
}

#[test]
fn a_mission_that_a_firing_made_ends_it() {
    for (word, outcome) in [("complete", "done"), ("cancel", "cancelled"), ("replace", "cancelled")] {
        let mut w = World::with_agents(1);
        let id = add(&mut w, ScheduleSpec { overlap: Overlap::Replace, ..spec("often", every(600)) });
        come(&mut w, id);
        go(&mut w);
        let live = w.state.schedule(id).unwrap().live.unwrap();
        let mission = w.state.firing(live).unwrap().mission.unwrap();
        assert_eq!(w.state.firing(live).unwrap().state, FiringState::Running);
        match word {
            "complete" => w.drive(),
            "cancel" => {
                w.ok(Command::StopMission(mission, musher_core::effect::Stop::Interrupt));
            }
            _ => come(&mut w, id),
        }
        assert_eq!(w.state.firing(live), None, "{word}");
        assert!(said(&w).contains(&outcome.to_owned()), "{word}: {:?}", said(&w));
        let state = w.state.mission(mission).map(|entry| entry.row.state);
        let wanted = if word == "complete" { MissionState::Completed } else { MissionState::Cancelled };
        assert_eq!(state, Some(wanted), "{word}");
    }
}

#[test]
fn a_firing_that_takes_too_long_is_ended_with_its_mission() {
    let mut w = World::with_agents(1);
    let id = add(&mut w, spec("daily", every(24 * 3_600)));
    come(&mut w, id);
    go(&mut w);
    let live = w.state.schedule(id).unwrap().live.unwrap();
    let firing = w.state.firing(live).unwrap().clone();
    w.restart();
    at(&mut w, firing.expires_at.unwrap());
    assert_eq!(w.state.mission(firing.mission.unwrap()).unwrap().row.state, MissionState::Cancelled);
    assert_eq!(said(&w), ["fired", "timed_out", "told: timed out: it was not over after 30m"]);
    assert_eq!(w.state.schedule(id).unwrap().failures, 1);
}

#[test]
fn what_fails_rests_and_after_ten_in_a_row_is_paused_until_a_person_enables_it() {
    let mut w = World::new();
    let id = add(&mut w, spec("often", every(1_800)));
    for n in 1..=FAILURES_IN_A_ROW {
        come(&mut w, id);
        fail(&mut w);
        assert_eq!(w.state.schedule(id).unwrap().failures, n);
    }
    let row = w.state.schedule(id).unwrap().clone();
    assert_eq!((row.status(), row.fires()), ("paused", false));
    assert_eq!(said(&w).iter().filter(|word| *word == "fired").count(), 10);
    let asked = musher_core::inbox::requests(&w.state);
    assert!(asked.iter().any(|request| request.text.contains("Schedule often")), "{asked:?}");
    let fired = due_moments(&w).len();
    let later = w.now.after(DAY * 3);
    at(&mut w, later);
    assert_eq!(due_moments(&w).len(), fired, "it does not fire");
    w.ok(Command::EnableSchedule(id));
    come(&mut w, id);
    unneeded(&mut w);
    let row = w.state.schedule(id).unwrap();
    assert_eq!((due_moments(&w).len(), row.failures, row.not_before), (fired + 1, 0, None));
    assert!(musher_core::inbox::requests(&w.state).is_empty());
}

#[test]
fn a_failure_rests_for_five_seconds_ten_twenty_and_moments_in_between_are_skipped() {
    let mut w = World::new();
    let id = add(&mut w, spec("often", every(1)));
    come(&mut w, id);
    fail(&mut w);
    let rest = w.state.schedule(id).unwrap().not_before.unwrap();
    let secs = rest.since(w.now).as_secs_f64();
    assert!((4.5..=5.5).contains(&secs), "{secs}");
    come(&mut w, id);
    assert_eq!(said(&w).last().unwrap(), "skipped 1");
    while w.now < rest {
        come(&mut w, id);
    }
    assert_eq!(said(&w).last().unwrap(), "fired");
}

#[test]
fn whom_a_firing_tells_by_its_notify() {
    // What is told of one that is unneeded, done (a note) and failed.
    let table = [
        (Notify::All, [2, 2, 2]),
        (Notify::Completions, [0, 1, 0]),
        (Notify::Failures, [0, 0, 1]),
        (Notify::None, [0, 0, 0]),
    ];
    for (notify, wanted) in table {
        let told: Vec<usize> = (0..3)
            .map(|end| {
                let mut w = World::with_agents(1);
                let mission = w.mission(vec![item("a", &[])]);
                let action = Action::Note { mission: mission.short().into(), text: "go slowly".into() };
                let id = add(&mut w, ScheduleSpec { notify, action, ..spec("n", every(60)) });
                come(&mut w, id);
                match end {
                    0 => unneeded(&mut w),
                    1 => answer(&mut w, Prepared::Go { start: None, text: "".into() }),
                    _ => fail(&mut w),
                }
                said(&w).iter().filter(|word| word.starts_with("told")).count()
            })
            .collect();
        assert_eq!(told, wanted, "{notify:?}");
    }
}

#[test]
fn a_note_reaches_its_mission_and_one_for_nobody_is_a_failure() {
    let mut w = World::with_agents(1);
    let mission = w.mission(vec![item("a", &[])]);
    let note = |mission: &str| Action::Note { mission: mission.into(), text: "pause for the night".into() };
    let good = add(&mut w, ScheduleSpec { action: note(&mission.short()), ..spec("good", every(60)) });
    let bad = add(&mut w, ScheduleSpec { action: note("ffffffff"), ..spec("bad", every(90)) });
    come(&mut w, good);
    answer(&mut w, Prepared::Go { start: None, text: "".into() });
    assert_eq!(w.state.mission(mission).unwrap().row.state, MissionState::Paused);
    come(&mut w, bad);
    answer(&mut w, Prepared::Go { start: None, text: "".into() });
    assert_eq!(w.state.schedule(bad).unwrap().failures, 1);
    assert_eq!(w.state.schedule(good).unwrap().failures, 0);
}

#[test]
fn the_configuration_adds_edits_and_switches_off_and_history_is_kept() {
    let mut w = World::new();
    let sync = |w: &mut World, specs: &[ScheduleSpec]| w.ok(Command::SyncSchedules(specs.to_vec()));
    let one = spec("one", every(60));
    sync(&mut w, std::slice::from_ref(&one));
    let id = w.state.schedule_named("one").unwrap().id;
    let due = w.state.schedule(id).unwrap().due;
    let seen = w.events.len();
    sync(&mut w, std::slice::from_ref(&one));
    assert_eq!(w.events.len(), seen, "nothing has changed");
    // Another prompt keeps the plan; another time makes a new one.
    let later = w.now.after(Duration::from_secs(10));
    at(&mut w, later);
    let other = ScheduleSpec { action: Action::Mission(PlanFrom::File("plan.toml".into())), ..one.clone() };
    sync(&mut w, std::slice::from_ref(&other));
    assert_eq!(w.state.schedule(id).unwrap().due, due);
    let slower = ScheduleSpec { when: every(90), ..other };
    sync(&mut w, std::slice::from_ref(&slower));
    assert_eq!(w.state.schedule(id).unwrap().due, Some(w.now.after(Duration::from_secs(90))));
    sync(&mut w, &[]);
    let row = w.state.schedule(id).unwrap();
    assert_eq!((row.status(), row.due, row.removed), ("disabled", None, false));
    sync(&mut w, std::slice::from_ref(&slower));
    assert_eq!((w.state.schedule(id).unwrap().status(), w.state.schedules().count()), ("armed", 1));
    // What a person has switched off stays so, whatever is edited.
    w.ok(Command::DisableSchedule(id));
    let edited = ScheduleSpec { timeout_secs: 7, ..slower.clone() };
    sync(&mut w, std::slice::from_ref(&edited));
    assert_eq!(w.state.schedule(id).unwrap().status(), "disabled");
    // Also when its entry goes with one branch and comes back with another.
    sync(&mut w, &[]);
    sync(&mut w, std::slice::from_ref(&edited));
    assert_eq!(w.state.schedule(id).unwrap().status(), "disabled");
    w.ok(Command::EnableSchedule(id));
    assert_eq!(w.state.schedule(id).unwrap().status(), "armed");
    let off = ScheduleSpec { enabled: false, ..edited };
    sync(&mut w, std::slice::from_ref(&off));
    assert!(w.refused(Command::EnableSchedule(id)).to_string().contains("musher.toml"));
    let refused = w.refused(Command::RemoveSchedule(id));
    assert!(refused.to_string().contains("musher.toml"), "{refused}");
}

#[test]
fn what_no_schedule_may_be_is_refused_and_changes_nothing() {
    let mut w = World::new();
    add(&mut w, spec("there", every(60)));
    let check = |argv: &[&str], secs| {
        let argv = argv.iter().map(|word| (*word).into()).collect();
        Some(Check { argv, run_on: RunOn::Any, timeout_secs: secs })
    };
    let bad = [
        spec("", every(60)),
        spec("Upper", every(60)),
        spec(&"n".repeat(65), every(60)),
        spec("there", every(60)),
        spec("zero", every(0)),
        spec("past", When::At(w.now)),
        spec("c", cron("* * * *", "")),
        spec("c", cron("60 * * * *", "")),
        spec("c", cron("0 0 30 2 *", "")),
        spec("c", cron("0 0 * * *", "Mars/Olympus")),
        ScheduleSpec { timeout_secs: 0, ..spec("c", every(60)) },
        ScheduleSpec { check: check(&[], 5), ..spec("c", every(60)) },
        ScheduleSpec { check: check(&["true"], 0), ..spec("c", every(60)) },
    ];
    let seen = w.events.len();
    for spec in bad {
        let name = format!("{spec:?}");
        let refused = w.refused(Command::AddSchedule(Box::new(spec)));
        assert!(matches!(refused, Refused::Invalid { .. } | Refused::Conflict { .. }), "{name}: {refused}");
    }
    assert_eq!((w.events.len(), w.state.schedules().count()), (seen, 1));
}

#[test]
fn a_person_fires_it_now_unless_it_is_at_work() {
    let mut w = World::new();
    let id = add(&mut w, ScheduleSpec { enabled: false, ..spec("off", every(60)) });
    w.ok(Command::RunSchedule(id));
    let refused = w.refused(Command::RunSchedule(id));
    assert!(matches!(refused, Refused::State { .. }), "{refused}");
    unneeded(&mut w);
    assert_eq!(said(&w), ["fired", "unneeded"]);
    w.ok(Command::RemoveSchedule(id));
    assert!(matches!(w.refused(Command::RunSchedule(id)), Refused::NotFound { .. }));
    // The name is free again, and its history goes on.
    assert_eq!(add(&mut w, spec("off", every(60))), id);
}

#[test]
fn a_report_on_a_firing_that_is_over_changes_nothing() {
    let mut w = World::new();
    let id = add(&mut w, spec("often", every(3_600)));
    come(&mut w, id);
    let effect = w.state.effects().next().unwrap().id;
    unneeded(&mut w);
    let again = Command::Report(effect, Report::FiringPrepared(Prepared::Failed { error: "late".into() }));
    assert!(matches!(w.refused(again), Refused::Stale { .. }));
    assert_eq!(w.state.schedule(id).unwrap().failures, 0);
}

#[test]
fn expressions_that_are_none_are_named() {
    for (expression, tz) in
        [("", ""), ("x", ""), ("* * * * * * *", ""), ("0 0 31 2 *", ""), ("0 25 * * *", ""), ("* * * * *", "Nowhere")]
    {
        let problem = Cron::parse(expression, tz).err().unwrap_or_else(|| panic!("{expression} is taken"));
        if tz.is_empty() {
            assert!(!matches!(problem, CronProblem::Zone(_)));
        }
    }
    let _ = Cron::parse(&"*,".repeat(100_000), "").err().unwrap();
}

/// A cron expression by the book: each field a set, each moment of the wall clock asked.
struct Book {
    seconds: BTreeSet<i8>,
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: BTreeSet<i8>,
    months: BTreeSet<i8>,
    weekdays: BTreeSet<i8>,
    any_day: bool,
    any_weekday: bool,
    fixed: bool,
}

fn set(field: &str, low: i8, high: i8) -> BTreeSet<i8> {
    let names = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    let number = |text: &str| {
        names
            .iter()
            .position(|name| *name == text)
            .map_or_else(|| text.parse().unwrap(), |at| i8::try_from(at).unwrap())
    };
    let mut all = BTreeSet::new();
    for part in field.split(',') {
        let (range, step) = part.split_once('/').map_or((part, 1), |(range, step)| (range, number(step)));
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (number(from), number(to)),
            None => (number(range), number(range)),
        };
        all.extend((from..=to).step_by(usize::try_from(step).unwrap()));
    }
    all
}

impl Book {
    fn read(expression: &str) -> Self {
        let mut fields: Vec<&str> = expression.split(' ').collect();
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        let single = |field: &str| field.parse::<i8>().is_ok();
        let weekdays = set(fields[5], 0, 6).into_iter().map(|day| day % 7).collect();
        Self {
            seconds: set(fields[0], 0, 59),
            minutes: set(fields[1], 0, 59),
            hours: set(fields[2], 0, 23),
            days: set(fields[3], 1, 31),
            months: set(fields[4], 1, 12),
            weekdays,
            any_day: fields[3] == "*",
            any_weekday: fields[5] == "*",
            fixed: single(fields[0]) && single(fields[1]) && single(fields[2]),
        }
    }

    fn day(&self, at: DateTime) -> bool {
        let weekday = self.weekdays.contains(&at.weekday().to_sunday_zero_offset());
        let day = self.days.contains(&at.day());
        let either = match (self.any_day, self.any_weekday) {
            (true, true) => true,
            (true, false) => weekday,
            (false, true) => day,
            (false, false) => day || weekday,
        };
        either && self.months.contains(&at.month())
    }

    fn time(&self, at: DateTime) -> bool {
        self.seconds.contains(&at.second()) && self.minutes.contains(&at.minute()) && self.hours.contains(&at.hour())
    }

    /// Every moment in a span, by a look at each second, or, where none but whole minutes or hours can be asked, at those.
    fn moments(&self, zone: &TimeZone, (from, to): (Timestamp, Timestamp), step: usize) -> Vec<Timestamp> {
        let local = |secs: i64| jiff::Timestamp::from_second(secs).unwrap().to_zoned(zone.clone()).datetime();
        let mut all = BTreeSet::new();
        let mut before: Option<DateTime> = None;
        for secs in (from.as_secs()..=to.as_secs()).step_by(step) {
            let at = local(secs);
            if let Some(before) = before {
                let walked =
                    i64::try_from(before.until(at).unwrap().total(jiff::Unit::Second).unwrap() as i128).unwrap();
                // The clock was set forward: what it left out comes now, if it was one moment of the day.
                if self.fixed && walked > i64::try_from(step).unwrap() {
                    let left_out = (1..walked).map(|n| before.checked_add(jiff::Span::new().seconds(n)).unwrap());
                    if left_out.into_iter().any(|at| self.day(at) && self.time(at)) {
                        all.insert(secs);
                    }
                }
            }
            before = Some(at);
            if self.day(at) && self.time(at) {
                // The clock was set back: a single moment is met once.
                let repeated = self.fixed && all.iter().rev().take(2).any(|seen| local(*seen) == at);
                if !repeated {
                    all.insert(secs);
                }
            }
        }
        all.into_iter().map(|secs| Timestamp::from_micros(secs * 1_000_000)).filter(|at| *at > from).collect()
    }
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn cron_expressions_fire_when_an_independent_calculation_says() {
    let march = (moment("2026-03-01T00:00:00Z"), moment("2026-04-10T00:00:00Z"));
    let october = (moment("2026-09-28T00:00:00Z"), moment("2026-11-10T00:00:00Z"));
    let leap = (moment("2023-06-01T00:00:00Z"), moment("2028-06-01T00:00:00Z"));
    let spring = (moment("2026-03-28T20:00:00Z"), moment("2026-03-29T08:00:00Z"));
    let autumn = (moment("2026-10-24T20:00:00Z"), moment("2026-10-25T08:00:00Z"));
    let us_spring = (moment("2026-03-08T02:00:00Z"), moment("2026-03-08T14:00:00Z"));
    let us_autumn = (moment("2026-11-01T02:00:00Z"), moment("2026-11-01T14:00:00Z"));
    let berlin = "Europe/Berlin";
    let york = "America/New_York";
    let table = [
        ("0 9 * * MON-FRI", berlin, march, 60),
        ("0 9 * * MON-FRI", berlin, october, 60),
        ("30 2 * * *", berlin, march, 60),
        ("30 2 * * *", berlin, october, 60),
        ("30 2 * * *", york, march, 60),
        ("30 1 * * *", york, october, 60),
        ("*/15 * * * *", berlin, spring, 60),
        ("*/15 * * * *", berlin, autumn, 60),
        ("*/7 * * * *", york, us_spring, 60),
        ("*/7 * * * *", york, us_autumn, 60),
        ("0 */2 * * *", berlin, march, 60),
        ("0 0 29 2 *", "UTC", leap, 3_600),
        ("0 0 29 2 *", york, leap, 3_600),
        ("0 0 1,15 * FRI", "UTC", leap, 3_600),
        ("30 12 13 * *", "Asia/Kolkata", march, 60),
        ("5 2 * * SUN", "Australia/Lord_Howe", october, 60),
        // Two moments of a day are no single one: where the clock leaves them out, they do not come.
        ("15,45 30 2 * * *", berlin, spring, 1),
        ("15,45 30 2 * * *", berlin, autumn, 1),
        ("*/20 * 2 * * *", berlin, autumn, 1),
        ("0 30 2 * * *", berlin, spring, 1),
        ("0 30 2 * * *", berlin, autumn, 1),
    ];
    for (expression, tz, (from, to), step) in table {
        let zone = TimeZone::get(tz).unwrap();
        let wanted = Book::read(expression).moments(&zone, (from, to), step);
        let cron = Cron::parse(expression, tz).unwrap();
        let found: Vec<_> =
            std::iter::successors(cron.next(from), |at| cron.next(*at)).take_while(|at| *at <= to).collect();
        assert_eq!(found, wanted, "{expression} {tz}");
    }
    // A reading of the book itself: the last Sunday of March in Berlin has no half past two.
    let zone = TimeZone::get(berlin).unwrap();
    let book = Book::read("30 2 * * *").moments(&zone, spring, 60);
    assert_eq!(book, [moment("2026-03-29T01:00:00Z")]);
    assert_eq!(jiff::Timestamp::from_second(book[0].as_secs()).unwrap().to_zoned(zone).weekday(), Weekday::Sunday);
}
