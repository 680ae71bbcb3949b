//! Promises about leases: of two that have a store open, the later one writes.

use super::sample::{self, commit};
use super::{Fixture, same};
use crate::StoreError;
use crate::lease::Work;

fn is_fenced<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Fenced { .. }))
}

pub(super) fn a_stale_fence_changes_nothing(fixture: &dyn Fixture) {
    // Paused before a batch, in it, when all of it was said, and with nothing to say.
    for stage in ["before", "in it", "whole", "empty"] {
        let fixture: &dyn Fixture = fixture;
        let mut paused = fixture.rival();
        let before = paused.load().unwrap();
        if stage != "before" {
            paused.begin().unwrap();
        }
        if stage == "whole" {
            paused.write(&sample::everything(7)).unwrap();
        }
        let mut store = fixture.rival();
        if stage == "before" {
            paused.begin().unwrap();
        }
        if stage != "whole" && stage != "empty" {
            paused.write(&sample::everything(7)).unwrap();
        }
        assert!(is_fenced(paused.commit()), "{stage}");
        assert!(paused.begin().is_err(), "{stage}: it begins nothing any more");
        assert!(is_fenced(paused.load()), "{stage}: nor does it know the world");
        assert!(same(&store.load().unwrap(), &before), "{stage}");
        assert_eq!(store.last_seq(), store.reader().unwrap().last_seq().unwrap(), "{stage}");
    }
    let mut store = fixture.rival();
    commit(&mut *store, &[sample::everything(1)]);
    assert_eq!(store.load().unwrap().missions, [sample::mission(1)], "whoever has the lease writes");
}

pub(super) fn a_lease_is_kept_by_one(fixture: &dyn Fixture) {
    let mut paused = fixture.open();
    let mut store = fixture.rival();
    store.keep(Work::UnderWay).unwrap();
    assert!(is_fenced(paused.keep(Work::UnderWay)), "what is not its own it does not renew");
    store.keep(Work::None).unwrap();
    if let (Some(old), Some(new)) = (paused.lease(), store.lease()) {
        assert!(new.fence > old.fence, "{old:?} {new:?}");
    }
}
