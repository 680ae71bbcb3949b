//! A run's folder, and what it tells about the run.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::host::{self, Durable, ExitRecord, HostRecord, HostSpec, InvalidSpec, Secret, names};
use crate::sys;

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

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, FolderError> {
        let path = self.path.join(name);
        host::read_json(&path).map_err(FolderError::io("read", &path))
    }

    /// Whether there is nothing to prepare any more.
    fn is_whole(&self) -> bool {
        let used = self.path.join(names::HOST).exists() || self.path.join(names::EXIT).exists();
        let held = fs::metadata(self.path.join(names::STDIN)).map_or(0, |file| file.len());
        let spec = self.spec().ok().flatten();
        let secret: Option<Secret> = self.read(names::SECRET).ok().flatten();
        used || (secret.is_some() && spec.is_some_and(|spec| spec.stdin_bytes == held))
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
