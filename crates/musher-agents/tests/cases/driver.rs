//! The driver: what the engine is promised, with hosts that are slow, stopped, gone or without room.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use musher_agents::driver::ProcessDriver;
use musher_agents::host::{Reason, Stop as HostStop, names};
use musher_agents::supervise::{HostStatus, RunFolder, end, inspect};
use musher_core::agent::AgentSpec;
use musher_core::command::Report;
use musher_core::effect::Stop;
use musher_core::id::{ItemId, MissionId, RunId};
use musher_core::run::{FailureClass, Outcome, Purpose, Usage};
use musher_engine::driver::{Reports, Runs};
use musher_engine::job::{CreateWorktree, RunJob, Script, ScriptEnd};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

use super::bench::{Bench, host, kill, run};

/// A place for scripts and runs.
struct Yard {
    home: tempfile::TempDir,
}

impl Yard {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("runs")).unwrap();
        std::fs::create_dir_all(home.path().join("tree")).unwrap();
        Self { home }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn folder(&self, name: &str) -> RunFolder {
        RunFolder::at(self.at("runs").join(name))
    }

    fn script(&self, name: &str, text: &str) -> Script {
        Script {
            folder: self.at("runs").join(name),
            name: format!("{name}-{}", self.home.path().file_name().unwrap().to_string_lossy().replace('.', "")),
            text: text.to_owned(),
            cwd: self.at("tree"),
            timeout_secs: 300,
            slot: 0,
        }
    }

    fn job(&self, name: &str, text: &str) -> RunJob {
        let command = ["sh", "-c", text].map(Into::into).into();
        RunJob {
            run: RunId::from_bytes([1; 16]),
            item: ItemId::from_bytes([2; 16]),
            mission: MissionId::from_bytes([3; 16]),
            attempt: 1,
            purpose: Purpose::Work,
            agent: AgentSpec { command, ..AgentSpec::default() },
            root: self.home.path().to_owned(),
            state: self.at("state"),
            session: None,
            used: Usage::default(),
            price: None,
            worktree: self.at("tree"),
            folder: self.at("runs").join(name),
            base: String::new(),
            slot: 0,
            prompt: String::new(),
            reissued: false,
            was_running: false,
            create: CreateWorktree {
                root: self.home.path().to_owned(),
                path: self.at("tree"),
                branch: String::new(),
                from: String::new(),
                fetch: None,
                ensure: None,
                copy: Vec::new(),
                min_free_bytes: 0,
                pool: PathBuf::new(),
                pool_size: 0,
            },
            setup: None,
        }
    }

    /// A fifo, open at both ends.
    fn fifo(&self, name: &str) -> (pipe::Sender, pipe::Receiver) {
        let path = self.at(name);
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        let mut options = pipe::OpenOptions::new();
        options.read_write(true);
        (options.open_sender(&path).unwrap(), options.open_receiver(&path).unwrap())
    }

    async fn launch(&self, driver: &ProcessDriver, name: &str) -> tokio::task::JoinHandle<ScriptEnd> {
        let (_, mut began) = self.fifo(name);
        let script = self.script(name, &format!("echo . > {}; exec sleep 300", self.at(name).display()));
        let end = tokio::spawn(driver.script(script));
        began.read_u8().await.unwrap();
        end
    }

    fn signal_host(&self, name: &str, signal: Signal) {
        kill(self.folder(name).host().unwrap().unwrap().host, signal);
    }
}

fn driver(host: Vec<OsString>) -> ProcessDriver {
    let path = ("PATH".to_owned(), std::env::var("PATH").unwrap());
    ProcessDriver::new(host, Vec::new(), BTreeMap::from([path]))
}

/// A host behind a line of shell, in which `$HOST` and `$1`, the folder, are to be used.
fn behind(shell: &str) -> Vec<OsString> {
    let host = std::env::current_exe().unwrap();
    let shell = format!("HOST='{} run-host'; {shell}", host.display());
    vec!["/bin/sh".into(), "-c".into(), shell.into(), "host".into()]
}

fn is_green(end: &ScriptEnd) -> bool {
    matches!(end, ScriptEnd::Exited { ok: true, tail, .. } if tail == "once\n")
}

fn reason(folder: &RunFolder) -> Reason {
    match inspect(folder).unwrap() {
        HostStatus::Finished(exit) => exit.reason,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn what_a_plain_program_prints_is_its_answer_to_who_wants_a_plan() {
    run(async {
        let yard = Yard::new();
        // Noise beyond what is read, words on the other stream, and a plan longer than any summary.
        let script = "yes noise | head -n 60000; echo aside >&2; printf '```toml\\ngoal = \"g\"\\n'; \
                      for n in $(seq 300); do printf '[[items]]\\nid = \"i%s\"\\ntitle = \"do it\"\\n' $n; done; echo '```'";
        for (name, purpose, whole) in [("plan", Purpose::Plan, true), ("work", Purpose::Work, false)] {
            let job = RunJob { purpose, ..yard.job(name, script) };
            let Report::RunFinished { outcome: Outcome::Finished { summary, .. }, .. } =
                driver(host()).run(job, Arc::new(|_| {})).await
            else {
                panic!("another report")
            };
            let answer = musher_core::plan::read_answer(&summary);
            assert_eq!(answer.is_ok_and(|answer| answer.plan.items.len() == 300), whole, "{name}: {summary}");
            assert!(whole || &*summary == "```", "{summary}");
            assert!(!summary.contains("aside"), "{summary}");
        }
        // One that is too long as a whole is not replaced by what it quotes.
        let script = "printf 'goal = \"g\"\\n'; yes '# noise that is a comment of the plan' | head -n 12000; printf '```toml\\ngoal = \"x\"\\n[[items]]\\nid = \"a\"\\n```\\n'";
        let job = RunJob { purpose: Purpose::Plan, ..yard.job("long", script) };
        let Report::RunFinished { outcome: Outcome::Finished { summary, .. }, .. } =
            driver(host()).run(job, Arc::new(|_| {})).await
        else {
            panic!("another report")
        };
        assert!(matches!(musher_core::plan::read_answer(&summary), Err(musher_core::plan::NoPlan::TooLong)));
    });
}

pub(crate) fn a_folder_whose_host_came_to_nothing_is_started_again() {
    run(async {
        // The first host finds the folder taken, and whoever had it is gone by the time that it is looked at.
        let yard = Yard::new();
        let shell = "[ -e \"$1/first\" ] || { : > \"$1/first\"; exit 3; }; exec $HOST \"$1\"";
        let end = driver(behind(shell)).script(yard.script("s", "echo once")).await;
        assert!(is_green(&end), "{end:?}");
        let reports = Arc::new(|_| {});
        let Report::RunFinished { outcome, .. } = driver(behind(shell)).run(yard.job("r", "true"), reports).await
        else {
            panic!("another report")
        };
        assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    });
}

pub(crate) fn a_start_waits_for_the_host_that_has_taken_the_folder() {
    run(async {
        let yard = Yard::new();
        let folder = yard.at("runs/s");
        std::fs::create_dir_all(&folder).unwrap();
        let file = std::fs::File::create(folder.join(names::LOCK)).unwrap();
        let lock = Flock::lock(file, FlockArg::LockExclusive).unwrap();
        let mut end = driver(host()).script(yard.script("s", "echo once"));
        tokio::select! {
            biased;
            end = &mut end => panic!("{end:?}"),
            () = tokio::task::yield_now() => {}
        }
        assert!(!folder.join(names::SPEC).exists());
        drop(lock);
        let end = end.await;
        assert!(is_green(&end), "{end:?}");
    });
}

pub(crate) fn what_is_stopped_before_it_begins_never_begins() {
    run(async {
        let yard = Yard::new();
        let driver = driver(host());
        driver.stop(yard.at("runs/s"), Stop::Kill).await;
        let sign = yard.at("sign").display().to_string();
        assert_eq!(driver.script(yard.script("s", &format!(": > {sign}"))).await, ScriptEnd::Lost);
        driver.stop(yard.at("runs/r"), Stop::Interrupt).await;
        let reports = Arc::new(|report| panic!("{report:?}"));
        let report = driver.run(yard.job("r", &format!(": > {sign}")), reports).await;
        assert!(matches!(report, Report::RunFinished { outcome: Outcome::Cancelled, .. }), "{report:?}");
        assert!(!Path::new(&sign).exists());
        assert_eq!(reason(&yard.folder("r")), Reason::Stopped { how: HostStop::Interrupt });
    });
}

pub(crate) fn a_stop_while_a_host_starts_is_not_lost() {
    run(async {
        let yard = Yard::new();
        let (_, mut at_the_door) = yard.fifo("door");
        let (mut go, _keep) = yard.fifo("go");
        let shell =
            format!("echo . > {}; read x < {}; exec $HOST \"$1\"", yard.at("door").display(), yard.at("go").display());
        let driver = driver(behind(&shell));
        let end = tokio::spawn(driver.script(yard.script("s", &format!(": > {}", yard.at("sign").display()))));
        at_the_door.read_u8().await.unwrap();
        driver.stop(yard.at("runs/s"), Stop::Kill).await;
        go.write_all(b"go\n").await.unwrap();
        assert_eq!(end.await.unwrap(), ScriptEnd::Lost);
        assert!(!yard.at("sign").exists());
        assert!(!yard.folder("s").path().join(names::SECRET).exists());
    });
}

pub(crate) fn a_stop_reaches_a_host_without_a_socket() {
    run(async {
        let yard = Yard::new();
        let driver = driver(host());
        let end = yard.launch(&driver, "s").await;
        std::fs::remove_file(yard.folder("s").path().join(names::SOCKET)).unwrap();
        driver.stop(yard.at("runs/s"), Stop::Kill).await;
        // It is over when the stop returns, and known to have been stopped.
        assert_eq!(reason(&yard.folder("s")), Reason::Stopped { how: HostStop::Kill });
        assert_eq!(end.await.unwrap(), ScriptEnd::Lost);
    });
}

pub(crate) fn a_host_that_cannot_end_is_killed_when_it_is_stopped() {
    run(async {
        // The folder takes no word of its end.
        let bench = Bench::new("echo gone").with(|s| s.grace_ms = 100);
        let folder = bench.prepare();
        std::fs::create_dir(folder.path().join("exit.json.new")).unwrap();
        musher_agents::supervise::launch(&host(), &folder).await.unwrap();
        assert_eq!(end(&folder, HostStop::Kill).await.unwrap(), 1);
        assert_eq!(inspect(&folder).unwrap(), HostStatus::Lost { same_boot: true });
        assert!(folder.is_stopped());
    });
}

pub(crate) fn a_script_whose_host_dies_alone_is_told_from_one_that_is_found_dead() {
    run(async {
        let yard = Yard::new();
        let driver = driver(host());
        let end = yard.launch(&driver, "s").await;
        yard.signal_host("s", Signal::SIGKILL);
        assert_eq!(end.await.unwrap(), ScriptEnd::Died);
        assert_eq!(driver.script(yard.script("s", "true")).await, ScriptEnd::Lost);
    });
}

pub(crate) fn a_sweep_ends_hosts_that_do_not_answer_and_spares_the_wanted() {
    run(async {
        let yard = Yard::new();
        let driver = driver(host());
        for name in ["a", "b", "c", "wanted"] {
            // Nobody waits for them: their daemon is gone.
            yard.launch(&driver, name).await.abort();
            yard.signal_host(name, Signal::SIGSTOP);
        }
        std::fs::create_dir(yard.at("runs/never")).unwrap();
        let unwanted = ["a", "b", "c", "never"].map(|name| yard.at("runs").join(name)).to_vec();
        let mut swept = driver.sweep(yard.at("runs"), unwanted, vec![yard.at("runs/wanted")]).await;
        swept.ended.sort();
        assert_eq!((swept.ended, swept.lost), (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], 0));
        for name in ["a", "b", "c", "never"] {
            assert_eq!(reason(&yard.folder(name)), Reason::Stopped { how: HostStop::Kill });
        }
        assert_eq!(inspect(&yard.folder("wanted")).unwrap(), HostStatus::Alive);
        driver.stop(yard.at("runs/wanted"), Stop::Kill).await;
    });
}

/// The end of a run that writes this as its result, says that it has, and then goes on until it is ended so. Nothing but
/// its end may tell of what it used.
async fn cut_short(yard: &Yard, name: &str, write: &str, end: Cut) -> (Outcome, Usage) {
    let (_, mut began) = yard.fifo(name);
    // A brace of a command is a placeholder's.
    let write = write.replace('{', "{{").replace('}', "}}");
    let text = format!("{write}; echo . > {}; exec sleep 300", yard.at(name).display());
    let mut job = yard.job(name, &text);
    if matches!(end, Cut::Deadline) {
        job.agent.limits.duration_secs = 1;
    }
    let driver = driver(host());
    let reports: Reports = Arc::new(|report| {
        let silent = !matches!(report, Report::RunProgress { usage } if usage != Usage::default());
        assert!(silent, "{report:?}");
    });
    let over = tokio::spawn(driver.run(job.clone(), Arc::clone(&reports)));
    began.read_u8().await.unwrap();
    match end {
        Cut::Deadline => {}
        Cut::Stop => driver.stop(job.folder.clone(), Stop::Kill).await,
        Cut::Host => yard.signal_host(name, Signal::SIGKILL),
    }
    let Report::RunFinished { outcome, usage } = over.await.unwrap() else { panic!("another report") };
    // A daemon that comes back before the end was written down reads the same again, and not more.
    let Report::RunFinished { usage: again, .. } = driver.run(RunJob { was_running: true, ..job }, reports).await
    else {
        panic!("another report")
    };
    assert_eq!(usage, again, "{name}");
    (outcome, usage)
}

/// What cuts a run short.
#[derive(Clone, Copy)]
enum Cut {
    Deadline,
    Stop,
    Host,
}

pub(crate) fn a_run_that_is_cut_short_has_used_what_it_wrote_and_nothing_else_of_it_counts() {
    run(async {
        let yard = Yard::new();
        let wrote = "printf '{\"summary\": \"all done\", \"no_change_needed\": \"none\", \
                     \"usage\": {\"input_tokens\": 7, \"output_tokens\": 3, \"cost_usd\": 0.01}}' > $MUSHER_RESULT";
        let spent = Usage { input_tokens: 7, output_tokens: 3, cost_micro_usd: 10_000, ..Usage::default() };
        let (outcome, usage) = cut_short(&yard, "deadline", wrote, Cut::Deadline).await;
        assert!(matches!(outcome, Outcome::Failed { class: FailureClass::Limit, .. }), "{outcome:?}");
        assert_eq!(usage, spent);
        assert_eq!(cut_short(&yard, "stop", wrote, Cut::Stop).await, (Outcome::Cancelled, spent));
        assert_eq!(cut_short(&yard, "host", wrote, Cut::Host).await, (Outcome::Lost { while_down: false }, spent));

        // One that was torn by the end, a pipe that nobody writes to, a link, numbers that are none, and one without end.
        let hostile = [
            ("torn", "printf '{\"usage\": {\"input_tokens\": 7, ' > $MUSHER_RESULT"),
            ("pipe", "mkfifo $MUSHER_RESULT"),
            ("link", "echo '{\"usage\": {\"input_tokens\": 7}}' > secret; ln -s $PWD/secret $MUSHER_RESULT"),
            ("odd", "echo '{\"usage\": {\"input_tokens\": -7}}' > $MUSHER_RESULT"),
            ("endless", "yes '{\"usage\": {\"input_tokens\": 7}}' | head -c 30000000 > $MUSHER_RESULT"),
            ("none", ":"),
        ];
        for (name, write) in hostile {
            let ended = cut_short(&yard, name, write, Cut::Stop).await;
            assert_eq!(ended, (Outcome::Cancelled, Usage::default()), "{name}");
        }
    });
}

pub(crate) fn a_start_without_room_on_the_disk_counts_for_nothing() {
    run(async {
        let yard = Yard::new();
        let driver = driver(behind("exit 4"));
        let reports = Arc::new(|report| panic!("{report:?}"));
        let (report, script) =
            tokio::join!(driver.run(yard.job("r", "true"), reports), driver.script(yard.script("s", "true")));
        let lost = matches!(report, Report::RunFinished { outcome: Outcome::Lost { while_down: true }, .. });
        assert!(lost, "{report:?}");
        assert_eq!(script, ScriptEnd::Lost);
    });
}

pub(crate) fn a_log_on_a_full_disk_does_not_end_the_host() {
    run(async {
        let yard = Yard::new();
        let bench = Bench::new("echo done");
        let folder = bench.prepare();
        std::os::unix::fs::symlink("/dev/full", folder.path().join(names::LOG)).unwrap();
        // Its end cannot be synced there, so each try is seen here and fails, and is complained of.
        let (_, mut tries) = yard.fifo("tries");
        let new = folder.path().join("exit.json.new");
        std::fs::rename(yard.at("tries"), &new).unwrap();
        musher_agents::supervise::launch(&host(), &folder).await.unwrap();
        let mut said = Vec::new();
        while String::from_utf8_lossy(&said).matches("started_at").count() < 2 {
            assert_ne!(tries.read_buf(&mut said).await.unwrap(), 0);
        }
        std::fs::remove_file(&new).unwrap();
        let (_, exit) = super::bench::to_the_end(&folder, 0).await;
        assert_eq!((exit.reason, exit.last_line.as_deref()), (Reason::Exited, Some("done")));
    });
}
