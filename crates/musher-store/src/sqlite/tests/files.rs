//! Backup and restore.

use super::Folder;
use crate::conformance::same;
use crate::conformance::sample::{self, NOW, commit};
use crate::store::Store;
use crate::{BackupError, OpenError, Overwrite, RestoreError, backup, restore};

#[test]
fn a_backup_of_an_open_store_is_restored_elsewhere() {
    let folder = Folder::new();
    let mut store = folder.store();
    commit(&mut store, &[sample::everything(1), sample::everything(2)]);
    let world = store.load().unwrap();
    store.begin().unwrap();
    store.write(&sample::everything(3)).unwrap();
    let file = folder.path("backup.db");
    store.backup(&file).unwrap();
    store.commit().unwrap();

    let other = Folder::new();
    restore(&file, other.0.path(), Overwrite::Refuse, NOW).unwrap();
    let mut restored = other.store();
    assert!(same(&restored.load().unwrap(), &world));
    assert_eq!(commit(&mut restored, &[sample::everything(4)]).0, 6);
}

#[test]
fn a_backup_never_overwrites_and_leaves_no_draft() {
    let folder = Folder::new();
    commit(&mut folder.store(), &[sample::everything(1)]);
    let file = folder.path("precious");
    std::fs::write(&file, "mine").unwrap();
    let error = backup(folder.0.path(), &file).unwrap_err();
    assert!(matches!(error, BackupError::Exists { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    let nowhere = backup(folder.0.path(), &folder.path("no/such/folder.db")).unwrap_err();
    assert!(matches!(nowhere, BackupError::Io { .. }), "{nowhere:?}");
    let nothing = backup(&folder.path("empty"), &folder.path("b.db")).unwrap_err();
    assert!(matches!(nothing, BackupError::Nothing { .. }), "{nothing:?}");
    let mut names: Vec<_> = std::fs::read_dir(folder.0.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with("-shm") && !name.ends_with("-wal"))
        .collect();
    names.sort();
    assert_eq!(names, ["musher.db", "musher.lock", "precious"]);
}

#[test]
fn a_restore_refuses_a_database_in_the_way_or_puts_it_aside() {
    let folder = Folder::new();
    commit(&mut folder.store(), &[sample::everything(1)]);
    let file = folder.path("backup.db");
    backup(folder.0.path(), &file).unwrap();
    commit(&mut folder.store(), &[sample::everything(2)]);

    let open = folder.store();
    let locked = restore(&file, folder.0.path(), Overwrite::PutAside, NOW).unwrap_err();
    assert!(matches!(locked, RestoreError::Open(OpenError::Locked { .. })), "{locked:?}");
    drop(open);
    let refused = restore(&file, folder.0.path(), Overwrite::Refuse, NOW).unwrap_err();
    assert!(matches!(refused, RestoreError::Exists { .. }), "{refused:?}");
    assert_eq!(folder.store().last_seq().0, 4);

    restore(&file, folder.0.path(), Overwrite::PutAside, NOW).unwrap();
    assert_eq!(folder.store().last_seq().0, 2);
    let aside = folder.path(&format!("musher.db.before-{}", NOW.as_micros()));
    let other = Folder::new();
    std::fs::copy(aside, other.path("musher.db")).unwrap();
    assert_eq!(other.store().last_seq().0, 4);
}

#[test]
fn a_restore_refuses_what_is_no_sound_backup_and_changes_nothing() {
    let folder = Folder::new();
    let mut store = folder.store();
    let changes: Vec<_> = (0..300).map(sample::everything).collect();
    commit(&mut store, &changes);
    let sound = folder.path("sound.db");
    store.backup(&sound).unwrap();
    drop(store);
    let mut bytes = std::fs::read(&sound).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xee);
    let damaged = folder.path("damaged.db");
    std::fs::write(&damaged, bytes).unwrap();
    let text = folder.path("text.db");
    std::fs::write(&text, "hello").unwrap();

    let try_it = |file| restore(file, folder.0.path(), Overwrite::PutAside, NOW).unwrap_err();
    let error = try_it(&damaged);
    assert!(matches!(error, RestoreError::Damaged { .. }), "{error:?}");
    let error = try_it(&text);
    assert!(matches!(error, RestoreError::Open(OpenError::NotADatabase { .. })), "{error:?}");
    let error = try_it(&folder.path("missing.db"));
    assert!(matches!(error, RestoreError::Nothing { .. }), "{error:?}");
    assert_eq!(folder.store().last_seq().0, 600);
}
