//! The one place with unsafe code: what a git needs between fork and exec.
#![allow(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Lets the command start in a session of its own, so that no program below it finds a terminal to ask a question on.
pub(crate) fn without_terminal(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec and only makes the async-signal-safe call setsid(2).
    unsafe {
        command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(std::io::Error::from));
    }
}

/// Lets the command die with the thread that starts it, which waits for it: a git that outlived a killed musher would
/// still be writing when the next one puts the worktree right. Where the system has no such thing, nothing changes.
pub(crate) fn die_with_us(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        let parent = nix::unistd::getpid();
        // SAFETY: the closure runs between fork and exec and only makes the async-signal-safe calls prctl(2) and getppid(2).
        unsafe {
            command.pre_exec(move || {
                nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
                // Our parent may have died before the line above.
                if nix::unistd::getppid() == parent { Ok(()) } else { Err(std::io::ErrorKind::Interrupted.into()) }
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}
