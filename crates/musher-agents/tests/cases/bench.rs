//! What every case stands on: a folder, a host, and a way to wait for its words.

use std::ffi::OsString;
use std::ops::Deref;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use musher_agents::Identity;
use musher_agents::host::{ExitRecord, HostSpec, OutputRecord, Stream};
use musher_agents::supervise::{Attachment, HostStatus, LaunchError, Observation, RunFolder, attach, inspect, launch};

/// No case waits longer than this for anything; one that does has found a fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a case.
pub(crate) fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, case).await.expect("the case waits for ever") });
}

/// A place for one run.
pub(crate) struct Bench {
    pub(crate) home: Rc<tempfile::TempDir>,
    pub(crate) spec: HostSpec,
    pub(crate) stdin: Vec<u8>,
}

impl Bench {
    /// A run of a shell script.
    pub(crate) fn new(script: &str) -> Self {
        let home = Rc::new(tempfile::tempdir().unwrap());
        // Unique on this machine: what belongs to a run is found by it.
        let id = home.path().file_name().unwrap().to_string_lossy().replace('.', "");
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        let mut spec = HostSpec::new(format!("run-{}-{id}", std::process::id()), argv, home.path());
        spec.env.insert("PATH".into(), std::env::var("PATH").unwrap());
        Self { home, spec, stdin: Vec::new() }
    }

    /// The same with other settings.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut HostSpec)) -> Self {
        change(&mut self.spec);
        self
    }

    /// The folder, prepared.
    pub(crate) fn prepare(&self) -> Place {
        let folder = RunFolder::prepare(self.home.path().join("runs/r"), &self.spec, &self.stdin).unwrap();
        Place { folder, _home: Rc::clone(&self.home) }
    }

    /// The folder, with its agent running.
    pub(crate) async fn launch(&self) -> Place {
        let folder = self.prepare();
        launch(&host(), &folder).await.unwrap();
        folder
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self) -> (Vec<OutputRecord>, ExitRecord) {
        let folder = self.launch().await;
        to_the_end(&folder, 0).await
    }

    /// Why it does not start.
    pub(crate) async fn refusal(&self) -> LaunchError {
        launch(&host(), &self.prepare()).await.unwrap_err()
    }
}

/// A run folder, and what keeps it there.
pub(crate) struct Place {
    folder: RunFolder,
    _home: Rc<tempfile::TempDir>,
}

impl Deref for Place {
    type Target = RunFolder;
    fn deref(&self) -> &RunFolder {
        &self.folder
    }
}

/// A case that failed leaves no host behind.
impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(Some(record)) = self.folder.host()
            && inspect(&self.folder).is_ok_and(|status| status == HostStatus::Alive)
        {
            kill(record.host, nix::sys::signal::Signal::SIGTERM);
        }
    }
}

/// The host: this executable, called in another way.
pub(crate) fn host() -> Vec<OsString> {
    vec![std::env::current_exe().unwrap().into(), "run-host".into()]
}

/// Reads from an offset to the end.
pub(crate) async fn to_the_end(folder: &RunFolder, offset: u64) -> (Vec<OutputRecord>, ExitRecord) {
    let mut attachment = attach(folder, offset).unwrap();
    let mut all = Vec::new();
    loop {
        match attachment.next().await.unwrap().expect("an end") {
            Observation::Output { records, .. } => all.extend(records),
            Observation::Exited(exit) => {
                assert_eq!(attachment.next().await.unwrap(), None);
                return (all, *exit);
            }
            Observation::HostLost => {
                panic!("the host was lost: {:?}", std::fs::read_to_string(folder.path().join("host.log")))
            }
        }
    }
}

/// Reads until a line on standard output begins with `word`, and answers what follows it.
pub(crate) async fn until(attachment: &mut Attachment, word: &str) -> String {
    loop {
        match attachment.next().await.unwrap().expect("more output") {
            Observation::Output { records, .. } => {
                if let Some(rest) = records.iter().find_map(|r| r.text.strip_prefix(word)) {
                    return rest.trim().to_owned();
                }
            }
            end @ (Observation::Exited(_) | Observation::HostLost) => panic!("no `{word}`, but {end:?}"),
        }
    }
}

/// The texts of a stream.
pub(crate) fn texts(records: &[OutputRecord], stream: Stream) -> Vec<&str> {
    records.iter().filter(|r| r.stream == stream).map(|r| r.text.as_str()).collect()
}

/// Whether a process is there and no zombie.
pub(crate) fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim().starts_with('Z'))
}

/// Kills a process.
pub(crate) fn kill(id: Identity, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(id.pid), signal).unwrap();
}
