//! A git that stays: it answers what it is asked, and ends when nothing more is asked.

use std::io::{ErrorKind, Read as _, Write as _};
use std::process::{Child, ChildStderr, ChildStdin, Stdio};
use std::time::Instant;

use crate::git::{Call, DEADLINE, GRACE, GitError, MAX_ANSWER, MAX_SAID, kill_group, never_blocks, ready, receive};

/// A running git. When it is dropped, the process has ended and is reaped.
#[derive(Debug)]
pub(crate) struct Dialogue {
    command: String,
    child: Child,
}

impl Dialogue {
    pub(crate) fn start(call: &Call) -> Result<Self, GitError> {
        let dialogue = Self { command: call.name(), child: call.start(Stdio::piped())? };
        if let Some(pipe) = &dialogue.child.stdin {
            never_blocks(pipe).map_err(|e| dialogue.garbled(&e))?;
        }
        Ok(dialogue)
    }

    /// Gives it a line and waits for its answer, which comes without the line end.
    pub(crate) fn ask(&mut self, line: &[u8]) -> Result<String, GitError> {
        let answer = self.exchange(&[line, b"\n"].concat(), |answer| answer.ends_with(b"\n"))?;
        Ok(String::from_utf8_lossy(&answer).trim_end_matches('\n').to_owned())
    }

    /// Gives it bytes and waits until its answer is whole.
    pub(crate) fn exchange(&mut self, input: &[u8], whole: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, GitError> {
        let (mut sent, mut answer) = (0, Vec::new());
        let deadline = Instant::now() + DEADLINE;
        while sent < input.len() || !whole(&answer) {
            if self.child.stdout.is_none() || self.child.stdin.is_none() {
                return Err(self.failure());
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                kill_group(&self.child);
                return Err(GitError::TimedOut { command: self.command.clone(), seconds: DEADLINE.as_secs() });
            };
            let stdin = self.child.stdin.as_ref().filter(|_| sent < input.len());
            let stdout = self.child.stdout.as_ref();
            let ready = ready(stdin, stdout, None::<&ChildStderr>, left).map_err(|e| self.garbled(&e))?;
            if ready.stdin {
                let wrote = self.child.stdin.as_mut().map_or(Ok(0), |pipe| pipe.write(&input[sent..]));
                match wrote {
                    Ok(more) => sent += more,
                    Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                    // It has ended already; what it said about that is told.
                    Err(_) => return Err(self.failure()),
                }
            }
            if ready.stdout {
                receive(&mut self.child.stdout, &mut answer).map_err(|e| self.garbled(&e))?;
            }
            if answer.len() > MAX_ANSWER {
                kill_group(&self.child);
                return Err(self.garbled(&format!("more than {MAX_ANSWER} bytes")));
            }
        }
        Ok(answer)
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
