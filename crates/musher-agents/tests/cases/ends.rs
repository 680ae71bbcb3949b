//! An end is the end of everything.

use std::ffi::OsString;

use musher_agents::host::{Reason, Stop, Stream};
use musher_agents::supervise::{HostStatus, attach, inspect, launch, stop};
use nix::sys::signal::Signal;

use super::bench::{Bench, host, kill, lives, run, texts, to_the_end, until};

pub(crate) fn an_agent_deaf_to_sigterm_is_killed() {
    run(async {
        let bench = Bench::new("trap '' TERM INT; echo pid $$; while :; do sleep 1; done").with(|s| s.grace_ms = 200);
        let folder = bench.launch().await;
        let pid = until(&mut attach(&folder, 0).unwrap(), "pid").await;
        stop(&folder, Stop::Kill).await.unwrap();
        let (_, exit) = to_the_end(&folder, 0).await;
        assert_eq!((exit.reason, exit.signal), (Reason::Stopped { how: Stop::Kill }, Some(9)));
        assert!(!lives(&pid));
    });
}

pub(crate) fn a_background_process_in_its_own_session_ends_with_the_agent() {
    run(async {
        let (records, exit) =
            Bench::new("setsid nohup sleep 300 >/dev/null 2>&1 & echo pid $!; sleep 0.2; exit 4").run().await;
        assert_eq!((exit.reason, exit.code, exit.leftovers_killed), (Reason::Exited, Some(4), 1));
        let pid = texts(&records, Stream::Stdout)[0].strip_prefix("pid ").unwrap().to_owned();
        assert!(!lives(&pid));
    });
}

pub(crate) fn a_double_fork_does_not_escape() {
    run(async {
        // It also closes every pipe, clears its environment and does not hear SIGTERM.
        let inner = r#"trap "" TERM; echo $$ > pid; mkfifo wait 2>/dev/null; exec 1>&- 2>&-; read x < wait"#;
        let script = format!(
            "( setsid env -i PATH=$PATH sh -c '{inner}' </dev/null & ) & while ! [ -s pid ]; do sleep 0.01; done"
        );
        let bench = Bench::new(&script).with(|s| s.grace_ms = 200);
        let (_, exit) = bench.run().await;
        assert_eq!((exit.reason, exit.code), (Reason::Exited, Some(0)));
        assert!(exit.leftovers_killed >= 1);
        let pid = std::fs::read_to_string(bench.home.path().join("pid")).unwrap();
        assert!(!lives(pid.trim()));
    });
}

pub(crate) fn a_stopped_process_is_ended_too() {
    run(async {
        let script = "sleep 300 & kill -STOP $!; echo pid $!; exit 0";
        // Were it not woken, it would live until it is killed, and no case waits that long.
        let (records, exit) = Bench::new(script).with(|s| s.grace_ms = 600_000).run().await;
        assert_eq!(exit.leftovers_killed, 1);
        assert!(!lives(texts(&records, Stream::Stdout)[0].strip_prefix("pid ").unwrap()));
    });
}

pub(crate) fn a_tree_that_grows_while_it_is_ended_is_ended() {
    run(async {
        // Each process starts another as it is asked to end.
        let script = "echo 'trap \"sh again.sh & wait\" TERM; echo up $$; sleep 300 & wait' > again.sh; sh again.sh & sh again.sh";
        let folder = Bench::new(script).with(|s| s.grace_ms = 300).launch().await;
        until(&mut attach(&folder, 0).unwrap(), "up").await;
        stop(&folder, Stop::Kill).await.unwrap();
        let (records, exit) = to_the_end(&folder, 0).await;
        assert_eq!(exit.reason, Reason::Stopped { how: Stop::Kill });
        let pids: Vec<&str> = texts(&records, Stream::Stdout).iter().filter_map(|t| t.strip_prefix("up ")).collect();
        assert!(pids.iter().all(|pid| !lives(pid)));
    });
}

pub(crate) fn an_interrupt_lets_the_agent_say_its_last_words() {
    run(async {
        let script = "trap 'echo goodbye; exit 3' INT; echo ready; while :; do sleep 0.05; done";
        let folder = Bench::new(script).launch().await;
        until(&mut attach(&folder, 0).unwrap(), "ready").await;
        stop(&folder, Stop::Interrupt).await.unwrap();
        let (_, exit) = to_the_end(&folder, 0).await;
        assert_eq!((exit.reason, exit.code, exit.signal), (Reason::Stopped { how: Stop::Interrupt }, Some(3), None));
        assert_eq!(exit.last_line.as_deref(), Some("goodbye"));
    });
}

pub(crate) fn an_agent_hears_an_interrupt_though_its_daemon_ignores_them() {
    run(async {
        let bench = Bench::new("trap 'exit 3' INT; echo ready; while :; do sleep 0.05; done");
        let folder = bench.prepare();
        // As a daemon starts its hosts that a script has put into the background.
        let deaf = ["sh", "-c", "trap '' INT QUIT HUP; exec \"$@\"", "sh"].map(OsString::from);
        let host: Vec<OsString> = deaf.into_iter().chain(host()).collect();
        launch(&host, &folder).await.unwrap();
        until(&mut attach(&folder, 0).unwrap(), "ready").await;
        stop(&folder, Stop::Interrupt).await.unwrap();
        let (_, exit) = to_the_end(&folder, 0).await;
        assert_eq!((exit.code, exit.signal), (Some(3), None));
    });
}

pub(crate) fn a_kill_after_an_interrupt_does_not_wait_for_the_grace() {
    run(async {
        let bench = Bench::new("trap '' INT; trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done");
        let folder = bench.with(|s| s.grace_ms = 600_000).launch().await;
        until(&mut attach(&folder, 0).unwrap(), "ready").await;
        stop(&folder, Stop::Interrupt).await.unwrap();
        stop(&folder, Stop::Kill).await.unwrap();
        let (_, exit) = to_the_end(&folder, 0).await;
        assert_eq!((exit.reason, exit.code), (Reason::Stopped { how: Stop::Interrupt }, Some(5)));
    });
}

pub(crate) fn a_kill_ends_the_whole_tree() {
    run(async {
        let script = "sleep 300 & a=$!; setsid sleep 300 & b=$!; (sleep 300 & wait) & echo pids $a $b $$; wait";
        let folder = Bench::new(script).launch().await;
        let pids = until(&mut attach(&folder, 0).unwrap(), "pids").await;
        stop(&folder, Stop::Kill).await.unwrap();
        let (_, exit) = to_the_end(&folder, 0).await;
        assert!(exit.leftovers_killed >= 3, "{exit:?}");
        assert!(pids.split(' ').all(|pid| !lives(pid)));
    });
}

pub(crate) fn a_stop_of_what_is_over_does_nothing() {
    run(async {
        let folder = Bench::new("exit 1").launch().await;
        let (_, exit) = to_the_end(&folder, 0).await;
        stop(&folder, Stop::Kill).await.unwrap();
        assert_eq!(inspect(&folder).unwrap(), HostStatus::Finished(Box::new(exit)));
    });
}

pub(crate) fn a_host_that_is_asked_to_end_ends_its_agent_first() {
    run(async {
        let folder = Bench::new("echo pid $$; sleep 300").launch().await;
        let pid = until(&mut attach(&folder, 0).unwrap(), "pid").await;
        kill(folder.host().unwrap().unwrap().host, Signal::SIGTERM);
        let (_, exit) = to_the_end(&folder, 0).await;
        assert_eq!(exit.reason, Reason::Shutdown);
        assert!(!lives(&pid));
    });
}
