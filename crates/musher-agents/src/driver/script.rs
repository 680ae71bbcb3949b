//! Scripts of the project: gates, setups, teardowns.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use musher_engine::driver::Reports;
use musher_engine::job::{Script, ScriptEnd};

use super::outcome::script_end;
use super::start::{Begun, NotBegun, wait_for_room};
use super::{Shared, end, follow};
use crate::host::HostSpec;
use crate::slots::{DEFAULT_PORT_BASE, port_base};
use crate::supervise::RunFolder;

/// How long the end of what a dead host left is insisted on.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a project's own scripts get from musher's environment. They run what agents wrote, so it is no more than
/// toolchains need.
const SCRIPT_ENVIRONMENT: [&str; 16] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TERM",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "TZ",
    "CI",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "GOPATH",
    "JAVA_HOME",
    "VIRTUAL_ENV",
];

impl Shared {
    pub(super) async fn script(&self, job: &Script) -> ScriptEnd {
        let folder = RunFolder::at(&job.folder);
        match self.begin(&folder, || self.prepare_script(job)).await {
            Ok(Begun::Readable) => {}
            Ok(Begun::Refused(exit)) => return script_end(&folder, &exit),
            Ok(Begun::Lost { here }) => return lost(&folder, here).await,
            Err(NotBegun::NoRoom(text)) => {
                wait_for_room(&folder, &text).await;
                return lost(&folder, false).await;
            }
            Err(why) => return ScriptEnd::Failed(why.text()),
        }
        let silent: Reports = Arc::new(|_| {});
        match follow(&folder, &silent).await {
            Ok(Some(exit)) => script_end(&folder, &exit),
            Ok(None) => lost(&folder, true).await,
            Err(error) => ScriptEnd::Failed(error),
        }
    }

    fn prepare_script(&self, job: &Script) -> Result<RunFolder, NotBegun> {
        let argv = vec!["sh".to_owned(), "-c".to_owned(), job.text.clone()];
        let mut env: BTreeMap<String, String> = SCRIPT_ENVIRONMENT
            .into_iter()
            .filter_map(|name| self.environment.get_key_value(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let port = port_base(DEFAULT_PORT_BASE, job.slot).map_err(|e| NotBegun::Other(format!("{e}; {}", e.fix())))?;
        let cwd = job.cwd.to_string_lossy().into_owned();
        for (name, value) in [
            ("MUSHER_RUN", job.name.clone()),
            ("MUSHER_WORKTREE", cwd.clone()),
            ("MUSHER_SLOT", job.slot.to_string()),
            ("MUSHER_PORT_BASE", port.to_string()),
            ("PWD", cwd),
        ] {
            env.insert(name.to_owned(), value);
        }
        let spec = HostSpec {
            env,
            masks: self.masks.clone(),
            deadline_ms: job.timeout_secs.saturating_mul(1_000),
            ..HostSpec::new(job.name.clone(), argv, &job.cwd)
        };
        RunFolder::prepare(&job.folder, &spec, b"").map_err(|e| NotBegun::folder(&e))
    }
}

/// A script without a host. One whose host died under the daemon's eyes may have killed it; nobody knows of another.
async fn lost(folder: &RunFolder, seen: bool) -> ScriptEnd {
    match end::bury(folder, Some(PATIENCE)).await {
        Ok(()) if seen && !folder.is_stopped() => ScriptEnd::Died,
        Ok(()) => ScriptEnd::Lost,
        Err(error) => ScriptEnd::Failed(super::said(&error, error.fix())),
    }
}
