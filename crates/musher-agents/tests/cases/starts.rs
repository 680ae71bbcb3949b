//! One folder, one host, one agent; or a reason why not.

use std::os::unix::fs::PermissionsExt;

use musher_agents::host::{HostSpec, Reason, StartFailure, Stop, Stream, names, run_host};
use musher_agents::supervise::{
    AttachError, HostStatus, LaunchError, RunFolder, attach, inspect, launch, send_input, stop,
};

use super::bench::{Bench, host, run, texts, to_the_end};

async fn failure(bench: &Bench) -> StartFailure {
    let LaunchError::Program { failure, message } = bench.refusal().await else { panic!("another error") };
    assert!(!message.is_empty() && !failure.fix().is_empty());
    // The daemon may have missed the answer, so it also stands in the folder.
    let HostStatus::Finished(exit) = inspect(&RunFolder::at(bench.home.path().join("runs/r"))).unwrap() else {
        panic!("not finished")
    };
    assert_eq!(exit.reason, Reason::NotStarted { failure, message });
    failure
}

pub(crate) fn a_missing_program_is_a_typed_failure() {
    run(async {
        let missing = Bench::new("").with(|s| s.argv = vec!["no-such-program-anywhere".into()]);
        assert_eq!(failure(&missing).await, StartFailure::Missing);
        let plain = Bench::new("");
        std::fs::write(plain.home.path().join("plain"), "no program").unwrap();
        let plain = plain.with(|s| s.argv = vec!["./plain".into()]);
        assert_eq!(failure(&plain).await, StartFailure::NotExecutable);
    });
}

pub(crate) fn a_missing_folder_is_a_typed_failure() {
    run(async {
        let bench = Bench::new("true").with(|s| s.cwd = "/no/such/folder".into());
        assert_eq!(failure(&bench).await, StartFailure::Folder);
    });
}

pub(crate) fn an_argument_beyond_the_systems_limit_is_a_typed_failure() {
    run(async {
        let bench = Bench::new("true").with(|s| s.argv.push("x".repeat(4 << 20)));
        assert_eq!(failure(&bench).await, StartFailure::TooLong);
    });
}

pub(crate) fn a_folder_has_one_host_for_ever() {
    run(async {
        let folder = Bench::new("echo once; read x").with(|s| s.keep_stdin = true).launch().await;
        assert!(matches!(launch(&host(), &folder).await, Err(LaunchError::Used)));
        // A host that is started past the daemon is refused as well.
        let by_hand = std::process::Command::new(&host()[0]).arg("run-host").arg(folder.path()).output().unwrap();
        assert_eq!(by_hand.status.code(), Some(musher_agents::host::USED));
        stop(&folder, Stop::Kill).await.unwrap();
        let (records, _) = to_the_end(&folder, 0).await;
        assert!(matches!(launch(&host(), &folder).await, Err(LaunchError::Used)));
        assert_eq!(texts(&records, Stream::Stdout), ["once"]);
    });
}

pub(crate) fn of_two_launches_at_once_one_is_refused() {
    run(async {
        for _ in 0..10 {
            let folder = Bench::new("echo once").prepare();
            let argv = host();
            let results = tokio::join!(launch(&argv, &folder), launch(&argv, &folder));
            let outcome = (results.0.is_ok(), results.1.is_ok());
            assert!(outcome.0 ^ outcome.1, "{results:?}");
            let (records, _) = to_the_end(&folder, 0).await;
            assert_eq!(texts(&records, Stream::Stdout), ["once"]);
        }
    });
}

pub(crate) fn a_prepared_folder_is_kept_and_a_torn_one_made_again() {
    run(async {
        let bench = Bench::new("echo first");
        let folder = bench.prepare();
        assert_eq!(std::fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(inspect(&folder).unwrap(), HostStatus::NeverStarted);
        assert!(matches!(attach(&folder, 0), Err(AttachError::NeverStarted)));
        let other = HostSpec { argv: Bench::new("echo second").spec.argv, ..bench.spec.clone() };
        RunFolder::prepare(folder.path(), &other, b"").unwrap();
        assert_eq!(folder.spec().unwrap().unwrap().argv, bench.spec.argv);
        // As after a power cut: the name is there, the content is not.
        std::fs::write(folder.path().join(names::SPEC), "").unwrap();
        RunFolder::prepare(folder.path(), &other, b"").unwrap();
        launch(&host(), &folder).await.unwrap();
        assert_eq!(texts(&to_the_end(&folder, 0).await.0, Stream::Stdout), ["second"]);
        RunFolder::prepare(folder.path(), &bench.spec, b"").unwrap();
        assert_eq!(to_the_end(&folder, 0).await.0.len(), 1);
    });
}

pub(crate) fn a_host_goes_on_when_its_daemon_is_gone() {
    // Its own runtime, dropped with everything in it, stands for the daemon.
    let bench = Bench::new("read x; echo still $x").with(|s| s.keep_stdin = true);
    let folder = bench.prepare();
    run(async {
        launch(&host(), &folder).await.unwrap();
        let _ = attach(&folder, 0).unwrap();
    });
    run(async {
        assert_eq!(inspect(&folder).unwrap(), HostStatus::Alive);
        send_input(&folder, "here\n").await.unwrap();
        assert_eq!(texts(&to_the_end(&folder, 0).await.0, Stream::Stdout), ["still here"]);
    });
}

pub(crate) fn a_path_longer_than_a_sockets_address_works() {
    run(async {
        let bench = Bench::new("read x; echo got $x").with(|s| s.keep_stdin = true);
        let path = bench.home.path().join("long".repeat(20)).join("path".repeat(20)).join("r");
        let folder = RunFolder::prepare(path, &bench.spec, b"").unwrap();
        launch(&host(), &folder).await.unwrap();
        send_input(&folder, "it\n").await.unwrap();
        assert_eq!(texts(&to_the_end(&folder, 0).await.0, Stream::Stdout), ["got it"]);
    });
}

pub(crate) fn a_host_that_dies_at_its_start_says_why() {
    run(async {
        let bench = Bench::new("true");
        let folder = bench.prepare();
        std::fs::remove_file(folder.path().join(names::SECRET)).unwrap();
        let error = launch(&host(), &folder).await.unwrap_err();
        assert!(matches!(&error, LaunchError::Died { log } if log.contains("secret.json")), "{error}");
        // Nothing was started, so it may be tried again.
        assert_eq!(inspect(&folder).unwrap(), HostStatus::NeverStarted);
        launch(&host(), &bench.prepare()).await.unwrap();
        to_the_end(&folder, 0).await;
        assert_ne!(run_host(std::path::Path::new("/no/such/folder")), 0);
    });
}

pub(crate) fn secrets_do_not_stay_on_disk() {
    run(async {
        let bench = Bench::new("ls -a").with(|s| {
            s.masks.push("forge-token-value".into());
            s.env.insert("MODEL".into(), "provider-value".into());
        });
        let folder = bench.launch().await;
        to_the_end(&folder, 0).await;
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            // The socket may go at any moment now.
            if !entry.file_type().unwrap().is_file() {
                continue;
            }
            let path = entry.path();
            let content = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(!content.contains("-value"), "{}", path.display());
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
        }
    });
}
