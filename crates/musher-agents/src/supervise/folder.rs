//! A run's folder, and what it tells about the run.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::host::{self, Durable, ExitRecord, HostRecord, HostSpec, InvalidSpec, Reason, Secret, Stop, names, stamp};
use crate::sys;

/// Making a folder and refusing it exclude each other: one that is made would replace one that was just refused.
static MAKING: Mutex<()> = Mutex::new(());

/// A folder in which one host runs, or ran, one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

/// Where a host stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostStatus {
    /// No host has claimed the folder yet; one may be launched.
    NeverStarted,
    /// The host lives.
    Alive,
    /// The run is over and nothing of it lives.
    Finished(Box<ExitRecord>),
    /// The host died without a word.
    Lost {
        /// Whether the machine has been up since; processes of the run may live only then.
        same_boot: bool,
    },
}

/// A run folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// No host could work with the spec.
    #[error(transparent)]
    Invalid(#[from] InvalidSpec),
    /// The folder has no place: its path is a root or has no parent.
    #[error("`{}` is no place for a run folder", .0.display())]
    NoPlace(PathBuf),
    /// The system refused something.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl FolderError {
    /// Says what to do about it.
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::Invalid(problem) => problem.fix(),
            Self::NoPlace(_) => "put run folders below musher's own folder",
            Self::Io { .. } => "see that the disk has room and that musher's folder belongs to this user",
        }
    }

    /// Whether it is for want of room on the disk.
    pub fn is_no_room(&self) -> bool {
        matches!(self, Self::Io { source, .. } if host::is_no_room(source))
    }

    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

impl RunFolder {
    /// A folder that was prepared before, or never.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes the folder with everything that a host needs in it, for its owner only. It appears whole or not at all.
    ///
    /// A folder that is there already is kept as it is, once it is used or while it is whole. One that a power cut has
    /// left torn, before any host began, is made again.
    ///
    /// # Errors
    /// The spec is impossible, or the system refused something; then there is no new folder.
    pub fn prepare(path: impl Into<PathBuf>, spec: &HostSpec, stdin: &[u8]) -> Result<Self, FolderError> {
        spec.check()?;
        let folder = Self { path: std::path::absolute(path.into()).map_err(FolderError::io("find", Path::new("")))? };
        let _turn = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        if folder.is_whole() {
            return Ok(folder);
        }
        let new = folder.sibling()?;
        folder.clear(&new)?;
        folder.fill(&new, spec, stdin)?;
        folder.clear(&folder.path)?;
        fs::rename(&new, &folder.path).map_err(FolderError::io("make", &folder.path))?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of everything that the agent said.
    pub fn output(&self) -> PathBuf {
        self.path.join(names::OUTPUT)
    }

    /// What was asked for, without environment and masks; none in a folder that was never prepared.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn spec(&self) -> Result<Option<HostSpec>, FolderError> {
        self.read(names::SPEC)
    }

    /// Who host and agent are; none if no host has claimed the folder.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn host(&self) -> Result<Option<HostRecord>, FolderError> {
        self.read(names::HOST)
    }

    /// How the run ended; none if it is not known to have.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn exit(&self) -> Result<Option<ExitRecord>, FolderError> {
        self.read(names::EXIT)
    }

    /// Whether the end of the run was asked for past its socket, so that a host that did not end by itself was ended.
    pub fn is_stopped(&self) -> bool {
        self.path.join(names::STOP).exists()
    }

    /// Writes down how the end is asked for, for a host that cannot be told by its socket.
    pub(super) fn mark_stopped(&self, how: Stop) {
        let path = self.path.join(names::STOP);
        if let Err(error) = host::write_json(&path, &how, Durable::No) {
            // Then the run counts as lost instead of stopped; it ends all the same.
            tracing::warn!(path = %path.display(), %error, "a stop cannot be written down");
        }
    }

    /// Whether a process has taken the folder, be it a host that has not said so yet.
    pub(super) fn is_held(&self) -> Result<bool, FolderError> {
        let path = self.path.join(names::LOCK);
        let file = match fs::OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(FolderError::io("open", &path)(error)),
        };
        let taken = host::take(file).map_err(FolderError::io("lock", &path))?;
        Ok(taken.is_none())
    }

    /// Ends a run before it began, for good: no host will ever start in the folder. Answers whether it came first; if
    /// not, a host has the folder.
    pub(super) fn refuse(&self, how: Stop) -> Result<bool, FolderError> {
        let _turn = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut make = DirBuilder::new();
        make.mode(0o700).recursive(true).create(&self.path).map_err(FolderError::io("make", &self.path))?;
        let path = self.path.join(names::LOCK);
        let file = host::open_lock(&path).map_err(FolderError::io("open", &path))?;
        let Some(_lock) = host::take(file).map_err(FolderError::io("lock", &path))? else { return Ok(false) };
        if self.is_used() {
            return Ok(false);
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = self.path.join(names::EXIT);
        let exit = ExitRecord::without_agent(name, Reason::Stopped { how }, stamp());
        host::write_json(&path, &exit, Durable::Yes).map_err(FolderError::io("write", &path))?;
        // Whoever finds it there again next time is only told that it is over.
        let _ = fs::remove_file(self.path.join(names::SECRET));
        Ok(true)
    }

    fn is_used(&self) -> bool {
        self.path.join(names::HOST).exists() || self.path.join(names::EXIT).exists()
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, FolderError> {
        let path = self.path.join(name);
        host::read_json(&path).map_err(FolderError::io("read", &path))
    }

    /// Whether there is nothing to prepare any more.
    fn is_whole(&self) -> bool {
        let held = fs::metadata(self.path.join(names::STDIN)).map_or(0, |file| file.len());
        let spec = self.spec().ok().flatten();
        let secret: Option<Secret> = self.read(names::SECRET).ok().flatten();
        let whole = secret.is_some() && spec.is_some_and(|spec| spec.stdin_bytes == held);
        // Looked at last: a host says that it is there before it removes its secrets.
        whole || self.is_used()
    }

    /// Where the folder is filled before it gets its name.
    fn sibling(&self) -> Result<PathBuf, FolderError> {
        let no_place = || FolderError::NoPlace(self.path.clone());
        let name = self.path.file_name().ok_or_else(no_place)?;
        let parent = self.path.parent().ok_or_else(no_place)?;
        fs::create_dir_all(parent).map_err(FolderError::io("make", parent))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".new");
        Ok(parent.join(hidden))
    }

    fn clear(&self, path: &Path) -> Result<(), FolderError> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FolderError::io("replace", path)(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn fill(&self, new: &Path, spec: &HostSpec, stdin: &[u8]) -> Result<(), FolderError> {
        DirBuilder::new().mode(0o700).create(new).map_err(FolderError::io("make", new))?;
        let write = |name: &str, content: &[u8]| {
            let path = new.join(name);
            host::write_atomically(&path, content, Durable::No).map_err(FolderError::io("write", &path))
        };
        let json = |result: Result<Vec<u8>, serde_json::Error>| {
            result.map_err(|error| FolderError::io("write the spec of", &self.path)(error.into()))
        };
        let spec_on_disk = HostSpec { stdin_bytes: stdin.len() as u64, ..spec.clone() };
        write(names::STDIN, stdin)?;
        write(names::SECRET, &json(serde_json::to_vec(&spec.secret()))?)?;
        write(names::SPEC, &json(serde_json::to_vec(&spec_on_disk))?)
    }
}

/// The process of a folder's host, if it lives and has been stopped, so that it answers nobody.
pub fn stopped_host(folder: &RunFolder) -> Option<i32> {
    let record = folder.host().ok().flatten()?;
    (record.boot_id == sys::boot_id() && sys::is_stopped(record.host)).then_some(record.host.pid)
}

/// Tells where the host of a folder stands.
///
/// # Errors
/// A file of the folder cannot be read.
pub fn inspect(folder: &RunFolder) -> Result<HostStatus, FolderError> {
    let Some(record) = folder.host()? else {
        return Ok(folder.exit()?.map_or(HostStatus::NeverStarted, |exit| HostStatus::Finished(Box::new(exit))));
    };
    // In this order: a host that ends between the two looks has written its exit before the second.
    let same_boot = record.boot_id == sys::boot_id();
    let alive = same_boot && sys::lives(record.host);
    Ok(match folder.exit()? {
        Some(exit) => HostStatus::Finished(Box::new(exit)),
        None if alive => HostStatus::Alive,
        None => HostStatus::Lost { same_boot },
    })
}
