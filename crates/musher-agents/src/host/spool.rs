//! The file of everything an agent says.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::line::{Line, head};
use super::mask::{KeyBlock, Masks};
use super::record::{OutputRecord, Stream, stamp};

/// How long the last line in an exit may be, in characters.
const LAST_LINE_CHARS: usize = 2_000;

/// Writes lines down, masked, numbered and stamped, up to a limit.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    masks: Masks,
    stdout_key: KeyBlock,
    stderr_key: KeyBlock,
    max_line: usize,
    max_file: u64,
    /// Whole lines that are in the file, in bytes.
    length: u64,
    /// Lines that are not in it yet.
    pending: Vec<u8>,
    seq: u64,
    full: bool,
    /// Lines lost since the last one that could be written.
    lost: u64,
    last_line: Option<String>,
    /// Keys of what was said and could not be written: whoever reads along waits for them.
    unsaid: Vec<String>,
}

impl Spool {
    /// Makes the file. It must not exist: a folder is used once.
    pub(super) fn create(path: &Path, masks: Masks, max_line: usize, max_file: u64) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self {
            file,
            masks,
            stdout_key: KeyBlock::default(),
            stderr_key: KeyBlock::default(),
            max_line,
            max_file,
            length: 0,
            pending: Vec::new(),
            seq: 0,
            full: false,
            lost: 0,
            last_line: None,
            unsaid: Vec::new(),
        })
    }

    /// Takes a line; [`Spool::write`] brings it to the file.
    pub(super) fn take(&mut self, stream: Stream, line: &Line<'_>) {
        let key = match stream {
            Stream::Stdout => &mut self.stdout_key,
            Stream::Stderr | Stream::Host | Stream::Stdin => &mut self.stderr_key,
        };
        let (kept, cut) = self.masks.keep(line, key, self.max_line);
        if stream == Stream::Stdout && !kept.trim().is_empty() {
            self.last_line = Some(kept.trim().chars().take(LAST_LINE_CHARS).collect());
        }
        if !self.full {
            self.append(stream, kept, cut, None);
        }
    }

    /// Takes what the agent was told, under its key. It is in the file even when that is full, for whoever reads along
    /// must know what was said.
    pub(super) fn said(&mut self, key: &str, text: &str) {
        let whole = self.masks.hide(text.trim_end_matches('\n').into(), &mut KeyBlock::default());
        let kept = if self.full { "" } else { head(&whole, self.max_line) };
        let cut = kept.len() < whole.len();
        self.append(Stream::Stdin, kept.to_owned(), cut, Some(key.to_owned()));
    }

    /// Writes what was taken. What the disk has no room for is lost, and a marker says so once there is room again.
    pub(super) fn write(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        if self.lost > 0 && !self.mark_loss() {
            self.lose();
            return;
        }
        let batch = std::mem::take(&mut self.pending);
        let (written, result) = write_some(&mut self.file, &batch);
        if result.is_ok() {
            self.length += batch.len() as u64;
            self.say_again();
        } else {
            // A reader may have seen the whole lines of it already; they stay, the torn one goes.
            let whole = batch[..written].iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
            self.length += whole as u64;
            self.pending = batch[whole..].to_vec();
            self.lose();
            // Should this fail too, the torn line is unreadable and readers pass over it.
            let _ = self.file.set_len(self.length);
        }
    }

    /// Bytes in the file.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// The last line of standard output that was not empty.
    pub(super) fn last_line(&self) -> Option<String> {
        self.last_line.clone()
    }

    /// Brings the file to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn append(&mut self, stream: Stream, text: String, cut: bool, key: Option<String>) {
        let said = key.is_some();
        let line = encode(&OutputRecord { seq: self.seq + 1, at: stamp(), stream, text, cut, key });
        let grown = self.length + (self.pending.len() + line.len()) as u64;
        if said || grown <= self.max_file {
            self.seq += 1;
            self.pending.extend_from_slice(&line);
        } else if !self.full {
            self.full = true;
            self.mark(format!("output beyond {} bytes is not kept", self.max_file), true);
        }
    }

    /// A marker of the host; cut means that nothing of the agent follows.
    fn mark(&mut self, text: String, cut: bool) {
        self.seq += 1;
        let record = OutputRecord { seq: self.seq, at: stamp(), stream: Stream::Host, text, cut, key: None };
        self.pending.extend_from_slice(&encode(&record));
    }

    /// Writes the marker of a loss by itself, before the lines that follow it.
    fn mark_loss(&mut self) -> bool {
        let later = std::mem::take(&mut self.pending);
        // It takes the number of the last line that was lost, so that the numbers still grow.
        let text = format!("{} lines before this one could not be written", self.lost);
        let seq = self.seq - later.iter().filter(|b| **b == b'\n').count() as u64;
        let record = OutputRecord { seq, at: stamp(), stream: Stream::Host, text, cut: false, key: None };
        let marker = encode(&record);
        let (_, result) = write_some(&mut self.file, &marker);
        self.pending = later;
        if result.is_err() {
            let _ = self.file.set_len(self.length);
            return false;
        }
        self.length += marker.len() as u64;
        self.lost = 0;
        true
    }

    /// Writes down what was said while there was no room, now that there is.
    fn say_again(&mut self) {
        let keys = std::mem::take(&mut self.unsaid);
        if !keys.is_empty() {
            keys.into_iter().for_each(|key| self.append(Stream::Stdin, String::new(), true, Some(key)));
            self.write();
        }
    }

    fn lose(&mut self) {
        let lines = self.pending.split(|b| *b == b'\n');
        let records = lines.filter_map(|line| serde_json::from_slice::<OutputRecord>(line).ok());
        self.unsaid.extend(records.filter_map(|record| record.key));
        self.lost += self.pending.iter().filter(|b| **b == b'\n').count() as u64;
        self.pending.clear();
    }
}

fn encode(record: &OutputRecord) -> Vec<u8> {
    // A record of numbers and strings always has a JSON form.
    let mut line = serde_json::to_vec(record).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Writes as much as possible and tells how much that was.
fn write_some(file: &mut File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool(max_line: usize, max_file: u64) -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::create(&folder.path().join("out"), Masks::new(&[]), max_line, max_file).unwrap();
        (folder, spool)
    }

    fn records(folder: &tempfile::TempDir) -> Vec<OutputRecord> {
        let text = std::fs::read_to_string(folder.path().join("out")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn say(spool: &mut Spool, text: &str) {
        spool.take(Stream::Stdout, &Line { bytes: text.as_bytes(), cut: false });
        spool.write();
    }

    #[test]
    fn a_full_file_ends_with_one_marker_and_the_last_line_is_still_known() {
        let (folder, mut spool) = spool(100, 600);
        for n in 0..50 {
            say(&mut spool, &format!("line {n}"));
        }
        let records = records(&folder);
        assert_eq!(records.iter().filter(|r| r.stream == Stream::Host).count(), 1);
        assert_eq!(records.last().unwrap().text, "output beyond 600 bytes is not kept");
        assert!(records.iter().map(|r| r.seq).eq(1..=records.len() as u64));
        assert_eq!(spool.last_line().as_deref(), Some("line 49"));
    }

    #[test]
    fn a_long_line_is_cut_between_characters_and_says_so() {
        let (folder, mut spool) = spool(3, 1 << 20);
        say(&mut spool, "aéé");
        assert_eq!((records(&folder)[0].text.as_str(), records(&folder)[0].cut), ("aé", true));
    }

    #[test]
    fn a_loss_is_told_once_there_is_room_again() {
        let (folder, mut spool) = spool(100, 1 << 20);
        say(&mut spool, "kept");
        let good = std::mem::replace(&mut spool.file, File::open("/dev/null").unwrap());
        say(&mut spool, "lost");
        say(&mut spool, "lost too");
        spool.file = good;
        say(&mut spool, "kept again");
        let told: Vec<(u64, String)> = records(&folder).into_iter().map(|r| (r.seq, r.text)).collect();
        let marker = (3, "2 lines before this one could not be written".to_owned());
        assert_eq!(told, [(1, "kept".to_owned()), marker, (4, "kept again".to_owned())]);
    }
}
