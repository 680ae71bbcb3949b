//! A host that dies without a word.

use musher_agents::host::{HostRecord, names};
use musher_agents::supervise::{
    Attachment, EndError, HostStatus, Observation, RunFolder, attach, end_tree, inspect, stop,
};
use nix::sys::signal::Signal;

use super::bench::{Bench, kill, lives, run, to_the_end, until};

async fn until_lost(attachment: &mut Attachment) {
    while let Some(seen) = attachment.next().await.unwrap() {
        match seen {
            Observation::Output { .. } => {}
            Observation::HostLost => return,
            Observation::Exited(exit) => panic!("{exit:?}"),
        }
    }
    panic!("nothing was told");
}

fn host_of(folder: &RunFolder) -> HostRecord {
    folder.host().unwrap().unwrap()
}

pub(crate) fn an_agent_dies_with_its_host_and_the_loss_is_told() {
    run(async {
        let folder = Bench::new("echo pid $$; while :; do read x < /dev/zero; done").launch().await;
        let mut attachment = attach(&folder, 0).unwrap();
        let pid = until(&mut attachment, "pid").await;
        assert_eq!(inspect(&folder).unwrap(), HostStatus::Alive);
        kill(host_of(&folder).host, Signal::SIGKILL);
        until_lost(&mut attachment).await;
        assert_eq!(attachment.next().await.unwrap(), None);
        assert_eq!(inspect(&folder).unwrap(), HostStatus::Lost { same_boot: true });
        end_tree(&folder).await.unwrap();
        assert!(!lives(&pid));
        // A reader that comes later is told the same, after the output.
        until_lost(&mut attach(&folder, 0).unwrap()).await;
        assert!(stop(&folder, musher_agents::host::Stop::Kill).await.is_err());
    });
}

pub(crate) fn what_a_dead_host_left_is_ended() {
    run(async {
        // One hears, one is deaf and in a session of its own, and one has forgotten which run it belongs to.
        let script = "setsid sleep 300 & a=$!; setsid sh -c 'trap \"\" TERM; echo deaf $$; while :; do sleep 1; done' & \
                      env -i sleep 300 & echo pids $a $! $$; wait";
        let folder = Bench::new(script).with(|s| s.grace_ms = 200).launch().await;
        let mut attachment = attach(&folder, 0).unwrap();
        let (mut pids, mut deaf) = (None, None);
        while pids.is_none() || deaf.is_none() {
            let Some(Observation::Output { records, .. }) = attachment.next().await.unwrap() else {
                panic!("no output")
            };
            for record in records {
                pids = pids.or(record.text.strip_prefix("pids ").map(str::to_owned));
                deaf = deaf.or(record.text.strip_prefix("deaf ").map(str::to_owned));
            }
        }
        kill(host_of(&folder).host, Signal::SIGKILL);
        until_lost(&mut attachment).await;
        let (pids, deaf) = (pids.unwrap(), deaf.unwrap());
        assert!(lives(&deaf));
        assert!(end_tree(&folder).await.unwrap() >= 3);
        assert!(pids.split(' ').chain([deaf.as_str()]).all(|pid| !lives(pid)));
        assert_eq!(end_tree(&folder).await.unwrap(), 0);
    });
}

pub(crate) fn after_a_reboot_nothing_is_touched() {
    run(async {
        let folder = Bench::new("setsid sleep 300 & echo pid $!; wait").launch().await;
        let mut attachment = attach(&folder, 0).unwrap();
        let pid = until(&mut attachment, "pid").await;
        let record = host_of(&folder);
        kill(record.host, Signal::SIGKILL);
        until_lost(&mut attachment).await;
        let earlier = HostRecord { boot_id: "another boot".into(), ..record.clone() };
        let write = |record: &HostRecord| {
            std::fs::write(folder.path().join(names::HOST), serde_json::to_vec(record).unwrap()).unwrap();
        };
        write(&earlier);
        assert_eq!(inspect(&folder).unwrap(), HostStatus::Lost { same_boot: false });
        assert_eq!(end_tree(&folder).await.unwrap(), 0);
        until_lost(&mut attach(&folder, 0).unwrap()).await;
        assert!(lives(&pid));
        write(&record);
        assert!(end_tree(&folder).await.unwrap() >= 1);
    });
}

pub(crate) fn a_live_host_is_not_ended_from_outside() {
    run(async {
        let folder = Bench::new("read x").with(|s| s.keep_stdin = true).launch().await;
        assert!(matches!(end_tree(&folder).await, Err(EndError::HostAlive)));
        stop(&folder, musher_agents::host::Stop::Kill).await.unwrap();
        to_the_end(&folder, 0).await;
        assert_eq!(end_tree(&folder).await.unwrap(), 0);
    });
}

/// Starts something that leaves its parent and its session, and answers its pid.
fn escape(how: &str) -> String {
    format!("{how} setsid sh -c 'sh -c \"echo pid \\$\\$; exec sleep 300\" &'")
}

pub(crate) fn what_has_forgotten_its_run_is_found_where_the_run_worked() {
    run(async {
        let folder = Bench::new(&format!("{}; sleep 300", escape("env -i PATH=\"$PATH\""))).launch().await;
        let mut attachment = attach(&folder, 0).unwrap();
        let pid = until(&mut attachment, "pid").await;
        kill(host_of(&folder).host, Signal::SIGKILL);
        until_lost(&mut attachment).await;
        assert!(lives(&pid));
        end_tree(&folder).await.unwrap();
        assert!(!lives(&pid));
    });
}

pub(crate) fn what_a_person_runs_in_the_folder_is_left_alone() {
    run(async {
        let bench = Bench::new("echo pid $$; sleep 300");
        let folder = bench.launch().await;
        let mut attachment = attach(&folder, 0).unwrap();
        until(&mut attachment, "pid").await;
        let theirs = std::process::Command::new("sh")
            .args(["-c", &escape("env -i PATH=\"$PATH\" XDG_SESSION_ID=1")])
            .current_dir(bench.home.path())
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .spawn();
        let mut theirs = theirs.unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(theirs.stdout.take().unwrap()), &mut line).unwrap();
        theirs.wait().unwrap();
        let pid = line.trim().trim_start_matches("pid ").to_owned();
        kill(host_of(&folder).host, Signal::SIGKILL);
        until_lost(&mut attachment).await;
        end_tree(&folder).await.unwrap();
        assert!(lives(&pid));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
    });
}
