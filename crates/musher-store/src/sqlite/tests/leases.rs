//! Who holds the folder, when somebody else may take it, and what becomes of the one that comes back.

use rusqlite::Connection;

use super::Folder;
use crate::conformance::sample::{self, NOW, commit};
use crate::store::Store;
use crate::{LEASE_RENEWAL, LEASE_TTL, OpenError, SqliteStore, StoreError, Work};

fn sql(folder: &Folder, sql: &str) {
    Connection::open(folder.path("musher.db")).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_lease_is_taken_over_only_from_a_holder_that_was_paused_for_longer_than_it_lasts() {
    let ttl = LEASE_TTL.as_micros();
    let table = [
        ("just renewed", "UPDATE leases SET renews = 1".to_owned(), false),
        ("not over yet", format!("UPDATE leases SET renews = 1, renewed = renewed - {}", ttl - 5_000_000), false),
        ("over", format!("UPDATE leases SET renews = 1, renewed = renewed - {}", ttl + 1), true),
        ("without work, and it runs", format!("UPDATE leases SET renewed = renewed - {}", 100 * ttl), false),
        (
            "of another start of the machine",
            "UPDATE leases SET renews = 1, renewed = 0, boot = 'earlier'".to_owned(),
            false,
        ),
        ("of another machine", "UPDATE leases SET renews = 1, renewed = 0, node = 'elsewhere'".to_owned(), false),
        (
            "of an earlier process of the pid",
            "UPDATE leases SET renews = 1, renewed = 0, started = 1".to_owned(),
            false,
        ),
        ("the lock is another one's", "UPDATE leases SET renews = 1, renewed = 0, pid = 1".to_owned(), false),
    ];
    for (name, row, lapsed) in table {
        let folder = Folder::new();
        let first = folder.store();
        sql(&folder, &row);
        match SqliteStore::open(folder.0.path(), NOW) {
            Ok(second) => {
                assert!(lapsed, "{name}");
                let before = second.took_over().unwrap();
                assert_eq!((before.fence, before.pid), (1, std::process::id()), "{name}");
                assert_eq!(second.lease().unwrap().fence, 2, "{name}");
            }
            Err(OpenError::Locked { .. }) => assert!(!lapsed, "{name}"),
            Err(error) => panic!("{name}: {error:?}"),
        }
        drop(first);
    }
}

#[test]
fn whoever_comes_after_a_takeover_asks_the_new_holder_whatever_the_old_one_does() {
    let folder = Folder::new();
    let mut first = folder.store();
    folder.let_lapse();
    let mut second = folder.store();
    assert!(matches!(SqliteStore::open(folder.0.path(), NOW), Err(OpenError::Locked { .. })));
    first.begin().unwrap();
    first.write(&sample::everything(1)).unwrap();
    let Err(StoreError::Fenced { fence: 1, by: Some(by) }) = first.commit() else { panic!("it was written") };
    assert_eq!(by.fence, 2);
    drop(first);
    assert!(
        matches!(SqliteStore::open(folder.0.path(), NOW), Err(OpenError::Locked { .. })),
        "the old lock is nobody's"
    );
    commit(&mut second, &[sample::everything(2)]);
    drop(second);
    let third = folder.store();
    assert_eq!((third.lease().unwrap().fence, third.took_over()), (3, None));
}

#[test]
fn a_lease_is_renewed_at_a_third_while_work_is_under_way_and_else_never() {
    let folder = Folder::new();
    let mut store = folder.store();
    let renewed = || -> i64 {
        let conn = Connection::open(folder.path("musher.db")).unwrap();
        conn.query_row("SELECT renewed FROM leases", [], |row| row.get(0)).unwrap()
    };
    let begun = renewed();
    assert_eq!((store.keep(Work::None).unwrap(), renewed()), (None, begun), "nothing wakes it");
    assert_eq!(store.lease().unwrap().left, None);
    assert!(store.keep(Work::UnderWay).unwrap().is_some_and(|next| next <= LEASE_RENEWAL));
    let second = renewed();
    assert!(second > begun && store.lease().unwrap().left.is_some_and(|left| left <= LEASE_TTL));
    assert!(store.keep(Work::UnderWay).unwrap().is_some());
    assert_eq!(renewed(), second, "not before it is time");
    assert!(store.keep(Work::None).unwrap().is_some(), "its end is said once, when it is time");
    store.begin().unwrap();
    assert!(matches!(store.keep(Work::None), Err(StoreError::BatchOpen)));
}
