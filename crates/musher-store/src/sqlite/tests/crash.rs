//! Killed at any moment: what is left is whole batches, and none that was acknowledged is missing.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use musher_core::change::{Change, TextKey};

use super::Folder;
use crate::conformance::sample::{self, NOW, commit};
use crate::store::{EventFilter, Store};
use crate::{SqliteStore, StoreError};

/// Says to the child below that it is one, and in which folder.
const CHILD: &str = "MUSHER_STORE_TEST_CHILD";

/// Batch k is the missions 3k, 3k + 1 and 3k + 2: six events.
fn batch(k: u32) -> [Change; 3] {
    [3 * k, 3 * k + 1, 3 * k + 2].map(sample::everything)
}

/// Panics unless the store holds the first so many batches, whole; answers how many.
fn whole_batches(store: &mut SqliteStore) -> u64 {
    let world = store.load().unwrap();
    let events = store.reader().unwrap().events(&EventFilter::default()).unwrap();
    let count = store.last_seq().0 / 6;
    assert_eq!(events.len() as u64, count * 6);
    assert_eq!(world.missions.len() as u64, count * 3);
    assert_eq!(world.items.len() as u64, count * 3);
    assert_eq!(world.effects.len() as u64, count * 3);
    count
}

fn copied(from: &Path, log_bytes: Option<usize>) -> Folder {
    let folder = Folder::new();
    std::fs::copy(from.join("musher.db"), folder.path("musher.db")).unwrap();
    let log = std::fs::read(from.join("musher.db-wal")).unwrap();
    std::fs::write(folder.path("musher.db-wal"), &log[..log_bytes.unwrap_or(log.len())]).unwrap();
    folder
}

#[test]
fn a_log_cut_off_anywhere_leaves_whole_batches() {
    let folder = Folder::new();
    let mut store = folder.store();
    for k in 0..4 {
        commit(&mut store, &batch(k));
    }
    let length = std::fs::metadata(folder.path("musher.db-wal")).unwrap().len() as usize;
    let mut counts = Vec::new();
    for part in 0..=24 {
        let torn = copied(folder.0.path(), Some(length * part / 24));
        counts.push(whole_batches(&mut torn.store()));
    }
    assert!(counts.is_sorted(), "{counts:?}");
    assert_eq!((counts.first(), counts.last()), (Some(&0), Some(&4)));
}

#[test]
fn a_batch_that_is_half_on_disk_is_not_there() {
    let folder = Folder::new();
    let mut store = folder.store();
    commit(&mut store, &batch(0));
    store.begin().unwrap();
    for k in 1..200 {
        for change in batch(k) {
            store.write(&change).unwrap();
        }
    }
    // Into the open transaction, and with so small a cache that its pages spill into the log.
    store.conn.execute_batch("PRAGMA cache_size = 5").unwrap();
    store.flush().unwrap();
    let torn = copied(folder.0.path(), None);
    assert_eq!(whole_batches(&mut torn.store()), 1);
    store.commit().unwrap();
    assert_eq!(store.last_seq().0, 200 * 6);
}

#[test]
fn a_kill_leaves_all_that_was_acknowledged_and_frees_the_folder() {
    let folder = Folder::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::tests::crash::commits_until_it_is_killed", "--nocapture"])
        .env(CHILD, folder.0.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acknowledged: Vec<u64> = lines
        .filter_map(|line| line.unwrap().strip_prefix("acknowledged ").and_then(|n| n.parse().ok()))
        .take(40)
        .collect();
    assert_eq!(acknowledged.len(), 40);
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = whole_batches(&mut folder.store());
    assert!(kept * 6 >= *acknowledged.last().unwrap(), "{kept} {acknowledged:?}");
}

/// Not a test of its own: the process that the test above kills.
#[test]
fn commits_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let mut store = SqliteStore::open(Path::new(&folder), NOW).unwrap();
    for k in 0.. {
        let seq = commit(&mut store, &batch(k)).0;
        // Nobody listens any more: the other side is gone without having killed us.
        if writeln!(std::io::stdout(), "\nacknowledged {seq}").is_err() {
            return;
        }
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_of_the_batch_stays() {
    let folder = Folder::new();
    let mut store = folder.store();
    commit(&mut store, &batch(0));
    store.conn.execute_batch("PRAGMA max_page_count = 1").unwrap();
    store.begin().unwrap();
    for k in 1..100 {
        for change in batch(k) {
            store.write(&change).unwrap();
        }
    }
    let error = store.commit().unwrap_err();
    assert!(matches!(error, StoreError::Full(_)), "{error:?}");
    assert!(error.fix().contains("free some space"));
    assert!(matches!(store.begin(), Err(StoreError::Broken)));
    assert_eq!(whole_batches(&mut store), 1);
    store.conn.execute_batch("PRAGMA max_page_count = 1000000").unwrap();
    commit(&mut store, &batch(1));
    assert_eq!(whole_batches(&mut store), 2);
}

#[test]
fn the_log_starts_again_under_steady_load() {
    let folder = Folder::new();
    let mut store = folder.store();
    // Each time another letter: what stays the same is not written again.
    let text = |n: u32| {
        let letter = char::from(b'a' + (n % 26) as u8);
        let text: Box<str> = std::iter::repeat_n(letter, 1 << 20).collect();
        let key = TextKey::Body(sample::item_id(n % 8));
        Change { texts: vec![(key, text)], ..Change::default() }
    };
    let mut started_again = 0;
    let mut last = 0;
    // 128 pages a commit: the thread is woken every 16, and its passes end with the log's first page again. Each round
    // waits for the pass that it asked for, so that the test does not depend on who is faster.
    for n in 0..200 {
        commit(&mut store, &[text(n)]);
        let pages = store.checkpoints.pages();
        started_again += u32::from(pages < last);
        last = pages;
        store.checkpoints.wait_for_pass();
    }
    assert!(started_again >= 5, "{started_again}");
    let length = std::fs::metadata(folder.path("musher.db-wal")).unwrap().len();
    assert!(length < 64 << 20, "{length}");
}
