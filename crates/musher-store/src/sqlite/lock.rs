//! The data folder's lock: a `musher.lock` that names who holds it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use musher_core::time::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::OpenError;

const FILE: &str = "musher.lock";

/// Proof that no other process has this data folder open. The kernel takes it back when the process ends, however.
///
/// The file stays when the lock goes: removing it would let two processes lock two files of the same name.
#[derive(Debug)]
pub(super) struct FolderLock(#[allow(dead_code, reason = "held for its drop")] Flock<File>);

impl FolderLock {
    pub(super) fn take(folder: &Path, now: Timestamp) -> Result<Self, OpenError> {
        let path = folder.join(FILE);
        loop {
            let file = open(&path)?;
            let mut lock = acquire(folder, &path, file)?;
            // Whoever has taken the place of a paused holder has put another file there meanwhile: that one counts.
            if !is_in_place(&lock, &path) {
                continue;
            }
            sign(&mut lock, now).map_err(|e| OpenError::io(&path, e))?;
            return Ok(Self(lock));
        }
    }

    /// Puts a lock of ours in the place of that of a holder who was paused for too long, in one step. Nothing when the lock
    /// is another one's by now.
    pub(super) fn replace(folder: &Path, holder: u32, now: Timestamp) -> Result<Option<Self>, OpenError> {
        let path = folder.join(FILE);
        let signed = read_signature(&open(&path)?).0;
        if signed != Some(holder) {
            return Ok(None);
        }
        let draft = folder.join(format!("{FILE}.{}", std::process::id()));
        let file = open(&draft)?;
        let mut lock = acquire(folder, &draft, file)?;
        sign(&mut lock, now).map_err(|e| OpenError::io(&draft, e))?;
        std::fs::rename(&draft, &path).map_err(|e| OpenError::io(&path, e))?;
        Ok(Some(Self(lock)))
    }
}

fn open(path: &Path) -> Result<File, OpenError> {
    let mut how = OpenOptions::new();
    how.read(true).write(true).create(true).truncate(false).mode(0o600);
    how.open(path).map_err(|e| OpenError::io(path, e))
}

/// Whether an open file is the one that has this name.
fn is_in_place(file: &File, path: &Path) -> bool {
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let (opened, named) = (file.metadata().map(identity), std::fs::symlink_metadata(path).map(identity));
    opened.is_ok_and(|opened| named.is_ok_and(|named| opened == named))
}

/// How often, and how long each time, a dead holder's lock is waited for.
const DEAD_HOLDER: (u32, Duration) = (200, Duration::from_millis(10));

fn acquire(folder: &Path, path: &Path, mut file: File) -> Result<Flock<File>, OpenError> {
    for _ in 0..DEAD_HOLDER.0 {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, Errno::EWOULDBLOCK)) => {
                let error = held(folder, &back);
                // A daemon that was killed while it started a program: until that program is executed, the copy of the
                // daemon that became it holds the lock too. That is over in an instant.
                let dead = match &error {
                    OpenError::Locked { pid: Some(pid), .. } => !is_alive(*pid),
                    _ => false,
                };
                if !dead {
                    return Err(error);
                }
                file = back;
                std::thread::sleep(DEAD_HOLDER.1);
            }
            Err((_, errno)) => return Err(OpenError::io(path, errno.into())),
        }
    }
    Err(held(folder, &file))
}

/// Whether there is a process of this pid.
pub(super) fn is_alive(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    !matches!(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None), Err(Errno::ESRCH))
}

/// Makes the folder, for its owner only, unless it is there.
pub(super) fn make_folder(folder: &Path) -> Result<(), OpenError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if !folder.is_dir() => Err(OpenError::io(folder, e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn sign(file: &mut File, now: Timestamp) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    // One write, so that whoever finds the lock taken reads both lines or none.
    file.write_all(format!("pid {}\nsince {now}\n", std::process::id()).as_bytes())
}

fn held(folder: &Path, file: &File) -> OpenError {
    let (pid, since) = read_signature(file);
    OpenError::Locked { folder: folder.to_owned(), pid, node: None, since }
}

/// Whose lock it is, and since when. What cannot be read is not named; the lock counts all the same.
fn read_signature(mut file: &File) -> (Option<u32>, Option<Timestamp>) {
    let mut text = String::new();
    let _ = file.rewind();
    let _ = file.take(1024).read_to_string(&mut text);
    let word = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let pid = word("pid ").and_then(|pid| pid.parse().ok());
    (pid, word("since ").and_then(|at| at.parse().ok()))
}
