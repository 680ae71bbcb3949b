//! A git that stays: it answers each line that it is given with a line, and ends when nothing more is asked.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStderr, ChildStdin, Stdio};
use std::time::Instant;

use crate::git::{Call, DEADLINE, GRACE, GitError, MAX_ANSWER, MAX_SAID, kill_group, ready, receive};

/// A running git. When it is dropped, the process has ended and is reaped.
#[derive(Debug)]
pub(crate) struct Dialogue {
    command: String,
    child: Child,
}

impl Dialogue {
    pub(crate) fn start(call: &Call) -> Result<Self, GitError> {
        Ok(Self { command: call.name(), child: call.start(Stdio::piped())? })
    }

    /// Gives it a line and waits for its answer, which comes without the line end.
    pub(crate) fn ask(&mut self, line: &[u8]) -> Result<String, GitError> {
        match self.child.stdin.as_mut().map(|pipe| pipe.write_all(&[line, b"\n"].concat())) {
            Some(Ok(())) => {}
            // It has ended already; what it said about that is told.
            None | Some(Err(_)) => return Err(self.failure()),
        }
        let mut answer = Vec::new();
        let deadline = Instant::now() + DEADLINE;
        while !answer.ends_with(b"\n") {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                kill_group(&self.child);
                return Err(GitError::TimedOut { command: self.command.clone(), seconds: DEADLINE.as_secs() });
            };
            let stdout = self.child.stdout.as_ref();
            let ready = ready(None::<&ChildStdin>, stdout, None::<&ChildStderr>, left).map_err(|e| self.garbled(&e))?;
            if ready.stdout {
                receive(&mut self.child.stdout, &mut answer).map_err(|e| self.garbled(&e))?;
            }
            if answer.len() > MAX_ANSWER {
                kill_group(&self.child);
                return Err(self.garbled(&format!("more than {MAX_ANSWER} bytes")));
            }
            if self.child.stdout.is_none() {
                return Err(self.failure());
            }
        }
        Ok(String::from_utf8_lossy(&answer).trim_end_matches('\n').to_owned())
    }

    /// It is of no use any more: it is ended, and what it said on the way is the reason.
    fn failure(&mut self) -> GitError {
        self.child.stdin = None;
        let mut said = Vec::new();
        if let Some(pipe) = self.child.stderr.take() {
            // What it said before the pipe broke is worth telling all the same.
            let _ = pipe.take(8 * MAX_SAID as u64).read_to_end(&mut said);
        }
        let status = self.child.wait().ok().and_then(|status| status.code());
        let tail = &said[said.len().saturating_sub(MAX_SAID)..];
        let said = String::from_utf8_lossy(tail).trim().to_owned();
        GitError::Failed { command: self.command.clone(), status, said }
    }

    fn garbled(&self, what: &impl ToString) -> GitError {
        GitError::Unreadable { command: self.command.clone(), what: what.to_string() }
    }
}

#[cfg(test)]
impl Dialogue {
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(-1)
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        self.child.stdin = None;
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // With its input at an end it ends at once, which closes its answers; one that does not is not waited for.
            let ended = ready(None::<&ChildStdin>, self.child.stdout.as_ref(), None::<&ChildStderr>, GRACE);
            if !ended.is_ok_and(|ended| ended.stdout) {
                kill_group(&self.child);
            }
            // There is nobody to tell.
            let _ = self.child.wait();
        }
    }
}
