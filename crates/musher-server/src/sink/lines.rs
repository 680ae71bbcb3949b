//! A file of events: a line of JSON each, whole lines only, a new file when one is full.
//!
//! Lines are on disk (`fdatasync`) before the cursor moves, so the file is never behind it. It may be ahead, by what a crash
//! cut off from the cursor: the last line of the file says where it goes on, and a torn line at its end is taken off.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use musher_core::id::Seq;
use musher_core::time::Timestamp;
use serde::Deserialize;

/// How much is read at once on the way back to the beginning of the last line.
const STEP: u64 = 64 << 10;
/// The longest line that is looked for.
const LONGEST: u64 = 128 << 20;

/// Which file, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The file.
    pub(super) path: PathBuf,
    /// Bytes after which a new one is begun.
    pub(super) max_size_bytes: u64,
    /// How many full ones are kept.
    pub(super) keep: u32,
}

/// A file that lines are added to.
#[derive(Debug)]
pub(super) struct Open {
    file: File,
    size: u64,
    /// The last event in it.
    last: Option<Last>,
}

/// An event, as far as it is known again by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Last {
    /// Its place.
    pub(super) seq: u64,
    /// When it was decided.
    pub(super) at: Timestamp,
}

/// Why lines were not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinesError {
    #[error("`{}`: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` is there and its last line is no event of musher's: choose another `path`, or move it away", path.display())]
    Foreign { path: PathBuf },
}

impl Plan {
    fn failed(&self) -> impl Fn(io::Error) -> LinesError + use<> {
        let path = self.path.clone();
        move |source| LinesError::Io { path: path.clone(), source }
    }

    /// The n-th full file, from 1, the newest.
    fn full(&self, n: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}"));
        name.into()
    }

    /// Opens the file, takes a torn line off its end, and finds its last event.
    pub(super) fn open(&self) -> Result<Open, LinesError> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(self.failed())?;
        }
        let new = !self.path.exists();
        let options = |options: &mut OpenOptions| options.read(true).append(true).mode(0o600).open(&self.path);
        let mut file = options(OpenOptions::new().create(true)).map_err(self.failed())?;
        if new {
            self.sync_folder()?;
        }
        let tail = Tail::of(&mut file).map_err(self.failed())?;
        if !tail.is_ours() {
            return Err(LinesError::Foreign { path: self.path.clone() });
        }
        if tail.end < tail.size {
            file.set_len(tail.end).map_err(self.failed())?;
            file.sync_data().map_err(self.failed())?;
        }
        let last = match tail.last {
            Some(last) => Some(last),
            // A crash came right after the last file was full.
            None => self.last_of_full()?,
        };
        Ok(Open { file, size: tail.end, last })
    }

    fn last_of_full(&self) -> Result<Option<Last>, LinesError> {
        if self.keep == 0 {
            return Ok(None);
        }
        match File::open(self.full(1)) {
            Ok(mut file) => Ok(Tail::of(&mut file).map_err(self.failed())?.last),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed()(error)),
        }
    }

    /// Adds lines, and answers when they are on disk. Those that the file has already are left out, unless `ignoring` says
    /// that its last event is none of this log.
    pub(super) fn append(
        &self,
        open: Option<Open>,
        lines: &[(Last, Vec<u8>)],
        ignoring: Option<Last>,
    ) -> Result<Open, LinesError> {
        // Who moves the file away, or removes it, wants the next lines in a new one.
        let mut open = match open.filter(|open| self.is_at_its_path(open)) {
            Some(open) => open,
            None => self.open()?,
        };
        let known = open.last.filter(|last| Some(*last) != ignoring).map_or(0, |last| last.seq);
        let mut text: Vec<u8> = Vec::new();
        for (event, line) in lines.iter().filter(|(event, _)| event.seq > known) {
            let size = open.size + text.len() as u64;
            if size > 0 && size + line.len() as u64 > self.max_size_bytes {
                self.write(&mut open, &text)?;
                text.clear();
                open = self.begin_another(open.last)?;
            }
            text.extend_from_slice(line);
            open.last = Some(*event);
        }
        self.write(&mut open, &text)?;
        Ok(open)
    }

    /// Whether the path still names the file that is open.
    fn is_at_its_path(&self, open: &Open) -> bool {
        let same = |a: &std::fs::Metadata, b: &std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        matches!((self.path.metadata(), open.file.metadata()), (Ok(there), Ok(ours)) if same(&there, &ours))
    }

    fn write(&self, open: &mut Open, text: &[u8]) -> Result<(), LinesError> {
        if text.is_empty() {
            return Ok(());
        }
        // A failure leaves a part of it behind; whoever comes next opens the file anew and takes that off.
        open.file.write_all(text).and_then(|()| open.file.sync_data()).map_err(self.failed())?;
        open.size += text.len() as u64;
        Ok(())
    }

    /// Gives the full file its number, and begins a new one. Cut off anywhere and done again, no line is lost.
    fn begin_another(&self, last: Option<Last>) -> Result<Open, LinesError> {
        let rename = |from: &Path, to: &Path| std::fs::rename(from, to).map_err(self.failed());
        if self.keep == 0 {
            std::fs::remove_file(&self.path).map_err(self.failed())?;
        } else {
            // Up to the first number that is free, so that a shift that was cut off throws nothing away twice.
            let free = (1..=self.keep).find(|n| !self.full(*n).exists()).unwrap_or(self.keep);
            for n in (1..free).rev() {
                rename(&self.full(n), &self.full(n + 1))?;
            }
            rename(&self.path, &self.full(1))?;
        }
        let options = |options: &mut OpenOptions| options.read(true).append(true).mode(0o600).open(&self.path);
        let file = options(OpenOptions::new().create(true)).map_err(self.failed())?;
        self.sync_folder()?;
        Ok(Open { file, size: 0, last })
    }

    fn sync_folder(&self) -> Result<(), LinesError> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(self.failed())
    }
}

impl Open {
    /// The last event in it.
    pub(super) const fn last(&self) -> Option<Last> {
        self.last
    }
}

impl Last {
    /// Its place.
    pub(super) const fn place(self) -> Seq {
        Seq(self.seq)
    }
}

/// The end of a file.
struct Tail {
    size: u64,
    /// Where the last whole line ends.
    end: u64,
    has_line: bool,
    last: Option<Last>,
    /// What stands behind the last whole line.
    torn: Vec<u8>,
}

impl Tail {
    fn of(file: &mut File) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        let mut text = Vec::new();
        let mut from = size;
        let breaks = |text: &[u8]| text.iter().filter(|b| **b == b'\n').count();
        // Two line breaks, or the beginning, hold the last whole line between them.
        while from > 0 && breaks(&text) < 2 && size - from < LONGEST {
            let step = STEP.min(from);
            from -= step;
            let mut part = vec![0; usize::try_from(step).unwrap_or_default()];
            file.seek(SeekFrom::Start(from))?;
            file.read_exact(&mut part)?;
            part.append(&mut text);
            text = part;
        }
        let Some(at) = text.iter().rposition(|b| *b == b'\n') else {
            return Ok(Self { size, end: 0, has_line: false, last: None, torn: text });
        };
        let begin = text[..at].iter().rposition(|b| *b == b'\n').map_or(0, |before| before + 1);
        let last = serde_json::from_slice(&text[begin..at]).ok();
        Ok(Self { size, end: from + at as u64 + 1, has_line: true, last, torn: text.split_off(at + 1) })
    }

    /// Whether musher wrote the file: nothing of anybody else's is cut off.
    fn is_ours(&self) -> bool {
        const BEGINNING: &[u8] = br#"{"seq":"#;
        if self.has_line {
            return self.last.is_some();
        }
        let torn = &self.torn;
        torn.starts_with(BEGINNING) || BEGINNING.starts_with(torn) || torn.iter().all(|b| *b == 0)
    }
}

#[cfg(test)]
mod tests;
