//! What a data folder may hold, and what happens when it holds something else.

use std::os::unix::fs::PermissionsExt;

use musher_core::item::{ItemState, MergeStage};
use rusqlite::Connection;

use super::Folder;
use crate::conformance::sample::{self, NOW, commit};
use crate::store::{EventFilter, Store};
use crate::{OpenError, SqliteStore, StoreError};

fn refused(folder: &Folder) -> OpenError {
    SqliteStore::open(folder.0.path(), NOW).unwrap_err()
}

#[test]
fn a_second_open_is_refused_and_told_who_holds_the_folder() {
    let folder = Folder::new();
    let store = folder.store();
    let error = refused(&folder);
    match &error {
        OpenError::Locked { pid, since, .. } => {
            assert_eq!((*pid, *since), (Some(std::process::id()), Some(NOW)));
        }
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains(&format!("in use by process {}", std::process::id())));
    assert!(error.fix().contains("`musher down`"));
    drop(store);
    folder.store();
}

#[test]
fn the_folder_and_its_files_are_for_their_owner_only() {
    let folder = Folder::new();
    let inner = Folder(folder.0);
    let path = inner.path("data");
    let mut store = SqliteStore::open(&path, NOW).unwrap();
    commit(&mut store, &[sample::everything(1)]);
    let mode = |name: &str| std::fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for name in ["musher.db", "musher.db-wal", "musher.db-shm", "musher.lock"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_not_touched() {
    for in_log in [false, true] {
        let folder = Folder::new();
        commit(&mut folder.store(), &[sample::everything(1)]);
        let newer = Connection::open(folder.path("musher.db")).unwrap();
        newer.execute_batch("PRAGMA user_version = 99").unwrap();
        // With a second connection left open, the new version lies in the log only.
        let kept = in_log.then_some(newer);
        let bytes = || ["musher.db", "musher.db-wal"].map(|name| std::fs::read(folder.path(name)).ok());
        let before = bytes();
        assert_eq!(before[1].as_ref().is_some_and(|log| !log.is_empty()), in_log);
        let error = refused(&folder);
        assert!(matches!(error, OpenError::Newer { found: 99, known: 11, .. }), "{error:?}");
        assert!(error.fix().contains("newer version of musher"));
        assert!(before == bytes());
        drop(kept);
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_and_not_touched() {
    for text in ["x", "this is not a database, however long the text goes on\n".repeat(400).as_str()] {
        let folder = Folder::new();
        std::fs::write(folder.path("musher.db"), text).unwrap();
        assert!(matches!(refused(&folder), OpenError::NotADatabase { .. }));
        assert_eq!(std::fs::read_to_string(folder.path("musher.db")).unwrap(), text);
    }
}

#[test]
fn a_database_of_another_program_is_refused() {
    let folder = Folder::new();
    let other = Connection::open(folder.path("musher.db")).unwrap();
    other.execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    drop(other);
    assert!(matches!(refused(&folder), OpenError::NotOurs { .. }));
}

#[test]
fn what_a_crash_left_of_the_first_moment_is_no_obstacle() {
    let empty = Folder::new();
    std::fs::write(empty.path("musher.db"), "").unwrap();
    commit(&mut empty.store(), &[sample::everything(1)]);

    let without_tables = Folder::new();
    let first = Connection::open(without_tables.path("musher.db")).unwrap();
    first.execute_batch("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL").unwrap();
    drop(first);
    commit(&mut without_tables.store(), &[sample::everything(1)]);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let folder = Folder::new();
    std::fs::set_permissions(folder.0.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    // Root may write anywhere but into the kernel's own file systems.
    let path = match std::fs::write(folder.path("probe"), "") {
        Ok(()) => std::path::Path::new("/sys"),
        Err(_) => folder.0.path(),
    };
    let error = SqliteStore::open(path, NOW).unwrap_err();
    assert!(matches!(&error, OpenError::ReadOnly { folder, .. } if folder == path), "{error:?}");
    assert!(error.fix().contains("writable"));
}

#[test]
fn a_folder_whose_parent_is_missing_is_an_error() {
    let folder = Folder::new();
    let error = SqliteStore::open(&folder.path("a/b"), NOW).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
}

#[test]
fn a_database_of_version_1_opens_with_all_it_holds() {
    let folder = Folder::new();
    let old = Connection::open(folder.path("musher.db")).unwrap();
    old.execute_batch(include_str!("version_1.sql")).unwrap();
    drop(old);
    let mut store = folder.store();
    let world = store.load().unwrap();
    assert!(world.settings.is_some());
    assert_eq!((world.missions.len(), world.items.len(), world.runs.len()), (1, 1, 1));
    assert_eq!((world.agents.len(), world.effects.len(), world.gates.len()), (2, 1, 2));
    assert!(world.quotas.is_empty() && world.nodes.is_empty() && world.pulls.is_empty() && world.watches.is_empty());
    assert!(world.schedules.is_empty() && world.triggers.is_empty() && world.firings.is_empty());
    assert_eq!(world.last_seq.0, 4);
    let reader = store.reader().unwrap();
    assert_eq!(reader.events(&EventFilter::default()).unwrap().len(), 4);
    assert_eq!(reader.items_of(sample::mission_id(1)).unwrap().len(), 1);
    let body = reader.text(musher_core::change::TextKey::Body(sample::item_id(1))).unwrap();
    assert_eq!(body.as_deref(), Some("the prompt"));
    assert_eq!(commit(&mut store, &[sample::everything(3)]).0, 6);
}

#[test]
fn what_an_older_version_was_merging_goes_on_in_a_batch() {
    for (stage, landing) in [(r#"{"landing":{"base":"b","commit":"c","tree":"t"}}"#, true), (r#""preparing""#, false)] {
        let folder = Folder::new();
        let old = Connection::open(folder.path("musher.db")).unwrap();
        old.execute_batch(include_str!("version_1.sql")).unwrap();
        let state = format!(r#"{{"merging":{stage}}}"#);
        old.execute("UPDATE items SET phase = 'merging', body = json_set(body, '$.state', json(?1))", [state]).unwrap();
        old.execute("UPDATE effects SET kind = 'prepare_merge'", ()).unwrap();
        drop(old);
        let world = folder.store().load().unwrap();
        let batch = world.queue.and_then(|queue| queue.batch);
        assert_eq!((batch.is_some(), world.effects.len()), (landing, 0), "{stage}");
        if let Some(batch) = batch {
            assert_eq!((batch.landing, batch.place_of(world.items[0].id), batch.good()), (Some(1), Some(0), 1));
            assert_eq!((&*batch.link(0).unwrap().commit, &*batch.link(1).unwrap().commit), ("b", "c"));
        } else {
            let queued = ItemState::Merging(MergeStage::Queued);
            assert_eq!(world.items[0].state, queued);
        }
    }
}

#[test]
fn a_row_that_cannot_be_read_is_named_and_stays() {
    let folder = Folder::new();
    let mut store = folder.store();
    commit(&mut store, &[sample::everything(1)]);
    store.conn.execute("UPDATE items SET body = '{}'", ()).unwrap();
    let error = store.load().unwrap_err();
    assert!(matches!(error, StoreError::Decode { what: "item", .. }), "{error:?}");
    assert!(matches!(store.begin(), Err(StoreError::Broken)));
}

#[test]
fn a_person_can_read_the_tables() {
    let folder = Folder::new();
    let mut store = folder.store();
    commit(&mut store, &[sample::everything(7)]);
    let shell = |sql: &str| store.conn.query_row(sql, (), |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(shell("SELECT title FROM items_v WHERE key = 'item-7'"), "Grüße an 世界 🐑");
    assert_eq!(shell("SELECT at FROM events_v WHERE kind = 'item_assigned'"), "2026-01-31T09:00:00Z");
    assert_eq!(shell("SELECT state FROM runs_v"), "running");
    assert_eq!(shell("SELECT cast(jobs AS TEXT) FROM quotas_v WHERE scope = 'agent:agent-7'"), "7");
    assert_eq!(shell("SELECT cast(number AS TEXT) || state || head FROM pulls_v"), "7\"open\"c0ffee");
    assert_eq!(shell("SELECT kind || ' ' || status || ' ' || seen FROM watches_v"), "issue_closed snoozed pending");
    assert_eq!(shell("SELECT delivery || ' ' || heard_at FROM webhooks_v"), "delivery-7 2026-01-31T09:00:00Z");
    let schedule = shell("SELECT name || ' ' || enabled || ' ' || failures FROM schedules_v");
    assert_eq!(schedule, "nightly-7 1 7");
    assert_eq!(shell("SELECT schedule || ' ' || state FROM firings_v"), "nightly-7 running");
    assert_eq!(shell("SELECT name || ' ' || fires || ' ' || seen FROM triggers_v"), "on-red-7 7 7");
    assert_eq!(shell("SELECT to_state FROM events_v WHERE kind = 'item_assigned'"), "ready");
    assert_eq!(shell("SELECT item FROM effects_v"), sample::item_id(7).to_string());
    let id = sample::mission_id(7).to_string().replace('-', "");
    assert_eq!(shell("SELECT id FROM missions_v"), id);
}
