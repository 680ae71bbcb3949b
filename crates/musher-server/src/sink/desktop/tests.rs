use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use musher_core::approval::{Action, Ask, Ruled};
use musher_core::config::{SinkConfig, SinkTo};
use musher_core::entropy::Entropy;
use musher_core::id::Seq;
use musher_core::sink::SinkFrom;
use musher_core::time::Timestamp;

use super::*;

/// Writes its arguments, each in brackets, and tells a new number each time, or that of the one it replaces.
const NOTIFY_SEND: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
number=$(($(wc -l <log) + 1))
for argument; do
    printf '[%s]' "$argument" | tr '\n' '|'
    case $argument in --replace-id=*) number=${argument#*=} ;; esac
done >>log
echo >>log
echo "$number"
"#;

struct Stage {
    folder: tempfile::TempDir,
    entropy: Entropy,
    seq: u64,
}

impl Stage {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("notify-send");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(folder.path().join("log"), "").unwrap();
        Self { folder, entropy: Entropy::from_seed(7), seq: 0 }
    }

    fn desktop(&self, kinds: &[&str]) -> Desktop {
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let config =
            SinkConfig { name: "me".into(), to: SinkTo::Desktop, kinds, missions: Vec::new(), from: SinkFrom::Present };
        Desktop::with(config.shown(), Notifier::at(self.program(), false))
    }

    fn program(&self) -> std::path::PathBuf {
        self.folder.path().join("notify-send")
    }

    fn happened(&mut self, mission: MissionId, run: Option<RunId>, happened: Happened) -> Logged {
        self.seq += 1;
        let (at, actor) = (Timestamp::from_micros(1), "musher".into());
        let event = Event {
            at,
            actor,
            mission: Some(mission),
            item: None,
            agent: None,
            run,
            moved: None,
            chain: Box::default(),
            happened,
        };
        Logged { seq: Seq(self.seq), event }
    }

    fn mission(&mut self) -> MissionId {
        MissionId::new(Timestamp::from_micros(1), &mut self.entropy)
    }

    /// What was shown since the last look, a line each.
    fn shown(&self) -> Vec<String> {
        let log = self.folder.path().join("log");
        let lines = std::fs::read_to_string(&log).unwrap().lines().map(str::to_owned).collect();
        std::fs::write(&log, "").unwrap();
        lines
    }
}

fn asks(text: &str, attempt: u32) -> Happened {
    let replies = vec!["musher mission note M \"retry\"".into()].into();
    Happened::MissionHelpRequested { text: text.into(), replies, attempt }
}

#[tokio::test]
async fn a_help_request_has_one_notification_which_is_edited_and_taken_back() {
    let mut stage = Stage::new(NOTIFY_SEND);
    let mut desktop = stage.desktop(&[]);
    let mission = stage.mission();
    let short = mission.short();
    let first = stage.happened(mission, None, asks("Mission M is still blocked: x < y & z", 1));
    desktop.deliver(&[first]).await.unwrap();
    let plain = "[--app-name=musher][--print-id][--urgency=normal]";
    let title = "[--][musher: a mission needs help]";
    let said = "Mission M is still blocked: x &lt; y &amp; z";
    let rest = format!("|mission {short}|musher mission note M \"retry\"]");
    assert_eq!(stage.shown(), [format!("{plain}{title}[{said}{rest}")]);
    let again = stage.happened(mission, None, asks("Mission M is still blocked: x < y & z", 2));
    desktop.deliver(&[again]).await.unwrap();
    assert_eq!(stage.shown(), [format!("{plain}[--replace-id=1]{title}[{said} (asked 2 times){rest}")]);
    let gone = stage.happened(mission, None, Happened::MissionHelpRetired { text: "x".into() });
    desktop.deliver(std::slice::from_ref(&gone)).await.unwrap();
    let taken = "[--app-name=musher][--print-id][--urgency=low][--replace-id=1][--transient][--expire-time=3000]";
    assert_eq!(stage.shown(), [format!("{taken}{title}[nothing is asked any more]")]);
    desktop.deliver(&[gone]).await.unwrap();
    assert_eq!(stage.shown(), [""; 0], "what does not stand is not taken back");
}

#[tokio::test]
async fn what_is_asked_and_settled_before_anybody_could_see_it_is_not_shown() {
    let mut stage = Stage::new(NOTIFY_SEND);
    let mut desktop = stage.desktop(&[]);
    let (mission, run) = (stage.mission(), RunId::new(Timestamp::from_micros(1), &mut stage.entropy));
    let mut request = || RequestId::new(Timestamp::from_micros(1), &mut stage.entropy);
    let (question, withdrawn, approval, last) = (request(), request(), request(), request());
    let action = Action::Shell("make all".into());
    let wants = |request| Happened::ApprovalRequested {
        request,
        action: Ask { reference: "1".into(), action: action.clone() }.action,
        expires_at: Timestamp::from_micros(2),
    };
    let decided =
        Happened::ApprovalDecided { action: action.clone(), ruled: Ruled::Allowed, by: "ann".into(), why: "".into() };
    let answered = Happened::HelpAnswered { request: question, text: "blue".into(), by: "ann".into() };
    let finished = Happened::RunFinished {
        outcome: "lost".into(),
        class: None,
        message: "".into(),
        usage: musher_core::run::Usage::default(),
    };
    let story = [
        Happened::HelpRequested { request: question, text: "Which colour?".into() },
        wants(withdrawn),
        answered,
        Happened::ApprovalWithdrawn { request: withdrawn },
        wants(approval),
        decided,
        Happened::HelpRequested { request: last, text: "And now?".into() },
        finished,
    ];
    let events: Vec<Logged> = story.map(|happened| stage.happened(mission, Some(run), happened)).into();
    for end in 1..=events.len() {
        let mut fresh = stage.desktop(&[]);
        fresh.deliver(&events[..end]).await.unwrap();
        let open = [1, 2, 1, 0, 1, 0, 1, 0][end - 1];
        assert_eq!(stage.shown().len(), open, "after {end}");
    }
    for (n, event) in events.iter().enumerate() {
        desktop.deliver(std::slice::from_ref(event)).await.unwrap();
        let lines = stage.shown();
        assert_eq!(lines.len(), 1, "{n}: each is shown, or taken back: {lines:?}");
    }
}

#[tokio::test]
async fn a_hostile_text_is_one_bounded_argument() {
    let mut stage = Stage::new(NOTIFY_SEND);
    let mut desktop = stage.desktop(&[]);
    let mission = stage.mission();
    let evil = format!("--help $(touch hacked) `touch hacked`; \u{1b}[2J\0<img src=x>\u{202e}{}", "é".repeat(100_000));
    let request = RequestId::new(Timestamp::from_micros(1), &mut stage.entropy);
    let event = stage.happened(mission, None, Happened::HelpRequested { request, text: evil.as_str().into() });
    desktop.deliver(&[event]).await.unwrap();
    let shown = stage.shown();
    assert!(
        shown[0].contains("[--][musher: an agent asks][--help $(touch hacked) `touch hacked`; [2J&lt;img src=x&gt;é")
    );
    assert!(shown[0].contains("…|mission ") && shown[0].len() < 1_500, "{}", shown[0].len());
    assert!(!stage.folder.path().join("hacked").exists() && !Path::new("hacked").exists());
}

#[tokio::test]
async fn a_long_absence_brings_a_handful_and_a_count() {
    let mut stage = Stage::new(NOTIFY_SEND);
    let mut desktop = stage.desktop(&["mission_completed"]);
    let events: Vec<Logged> = (0..20)
        .map(|_| {
            let mission = stage.mission();
            stage.happened(mission, None, Happened::MissionCompleted {})
        })
        .collect();
    desktop.deliver(&events).await.unwrap();
    let shown = stage.shown();
    assert_eq!(shown.len(), AT_ONCE + 1);
    assert!(shown[0].contains("[musher: mission completed]"), "{shown:?}");
    assert!(shown[AT_ONCE].contains("[musher: 15 more]"), "{shown:?}");
}

#[tokio::test]
async fn a_program_that_is_missing_or_fails_is_an_error_with_what_to_do() {
    let stage = Stage::new("#!/bin/sh\necho 'Cannot autolaunch D-Bus without X11' >&2\nexit 1\n");
    let failed = stage.desktop(&[]).test("ann").await.unwrap_err();
    assert!(failed.error.contains("Cannot autolaunch") && failed.error.contains("from a terminal"), "{failed:?}");
    let nowhere = Desktop::with(Vec::new(), Notifier::at("/nowhere/notify-send".into(), false));
    let failed = nowhere.test("ann").await.unwrap_err();
    assert!(failed.error.contains("not on the PATH") && failed.error.contains("install `libnotify-bin`"), "{failed:?}");
}

#[tokio::test]
async fn on_macos_the_words_are_arguments_of_a_script_that_never_changes() {
    let stage = Stage::new(NOTIFY_SEND);
    let desktop = Desktop::with(Vec::new(), Notifier::at(stage.program(), true));
    desktop.test("\" & do shell script \"x").await.unwrap();
    let script =
        "[-e][on run argv][-e][display notification (item 2 of argv) with title (item 1 of argv)][-e][end run]";
    let words = "[musher: a test][\" & do shell script \"x wanted to see whether this works]";
    assert_eq!(stage.shown(), [format!("{script}{words}")]);
}
