//! Passes: what shows that a caller speaks for a run. Each run has one of its own; it is made anew from the run's id
//! whenever it is wanted, so that nothing is kept and a restart changes nothing.

use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use musher_core::id::RunId;
use sha2::Sha256;

/// The variable that tells `musher mcp` where the daemon listens to agents.
pub const SOCKET: &str = "MUSHER_TOOLS_SOCKET";
/// The variable that tells it the pass of its run.
pub const PASS: &str = "MUSHER_TOOLS_PASS";

/// How many random bytes the key has: a block of the hash.
const BYTES: usize = 64;

/// Makes passes, and knows its own.
#[derive(Clone)]
pub struct Passes {
    key: Arc<[u8; BYTES]>,
}

impl std::fmt::Debug for Passes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passes(…)")
    }
}

impl Passes {
    /// With the key in this file, which is made, for its owner only, when there is none.
    ///
    /// # Errors
    /// The file cannot be read or made, is open to others, or holds no key.
    pub fn open(file: &Path) -> io::Result<Self> {
        let key = match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
            Ok(mut new) => {
                let mut key = [0u8; BYTES];
                std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
                new.write_all(&key)?;
                new.sync_all()?;
                key
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(file)?,
            Err(error) => return Err(error),
        };
        Ok(Self { key: Arc::new(key) })
    }

    /// The pass of a run.
    pub fn of(&self, run: RunId) -> String {
        let mark = self.mark(run).finalize().into_bytes();
        let mark: String = mark.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{run}.{mark}")
    }

    /// The run that a pass is of, if it is one of these; compared in constant time.
    pub fn run(&self, pass: &str) -> Option<RunId> {
        let (run, mark) = pass.split_once('.')?;
        let run: RunId = run.parse().ok()?;
        let digits = |at: usize| u8::from_str_radix(mark.get(at..at + 2)?, 16).ok();
        let mark: Option<Vec<u8>> = (0..mark.len()).step_by(2).map(digits).collect();
        self.mark(run).verify_slice(&mark?).ok()?;
        Some(run)
    }

    fn mark(&self, run: RunId) -> Hmac<Sha256> {
        let mut mark = Hmac::<Sha256>::new(&(*self.key).into());
        mark.update(run.as_bytes());
        mark
    }
}

fn read(file: &Path) -> io::Result<[u8; BYTES]> {
    let mut opened = std::fs::File::open(file)?;
    if opened.metadata()?.mode() & 0o077 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others can read it; `chmod 600` it"));
    }
    let mut key = Vec::new();
    opened.read_to_end(&mut key)?;
    key.try_into()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it holds no key; remove it, and a new one is made"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n: u8) -> RunId {
        RunId::from_bytes([n; 16])
    }

    #[test]
    fn a_pass_is_of_one_run_and_outlives_whoever_made_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let pass = Passes::open(&file).unwrap().of(run(1));
        let passes = Passes::open(&file).unwrap();
        assert_eq!(passes.run(&pass), Some(run(1)));
        assert_ne!(passes.of(run(2)), pass);
        let other = Passes::open(&folder.path().join("other")).unwrap();
        assert_eq!(other.run(&pass), None, "another repository's");
    }

    #[test]
    fn what_is_no_pass_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let passes = Passes::open(&folder.path().join("key")).unwrap();
        let (id, mark) = passes.of(run(1)).split_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let two = run(2).to_string();
        for pass in [
            String::new(),
            ".".to_owned(),
            id.clone(),
            format!("{id}."),
            format!("{two}.{mark}"),
            format!("{id}.{}", &mark[..62]),
            format!("{id}.{mark}00"),
            format!("{id}.{}", &mark[..63]),
            format!("{id}.é{mark}"),
        ] {
            assert_eq!(passes.run(&pass), None, "{pass}");
        }
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        Passes::open(&file).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(Passes::open(&file).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        std::fs::remove_file(&file).unwrap();
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).unwrap();
        assert_eq!(Passes::open(&file).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
