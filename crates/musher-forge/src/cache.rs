//! What a forge said, with its entity tag: what has not changed is not sent again, and costs nothing of the budget.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use hyper::body::Bytes;

/// An answer that may be asked for again.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// As it was sent: weak ones with their `W/`.
    pub(crate) etag: String,
    pub(crate) body: Bytes,
    /// The header that leads to the next page.
    pub(crate) link: Option<String>,
}

impl Kept {
    fn size(&self, key: &str) -> usize {
        key.len() + self.etag.len() + self.body.len() + self.link.as_ref().map_or(0, String::len)
    }
}

/// At most so many bytes; what was not asked for longest goes first.
#[derive(Debug)]
pub(crate) struct Cache {
    most: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<String, (u64, Kept)>,
    /// By their last use, which is unique.
    order: BTreeMap<u64, String>,
    size: usize,
    uses: u64,
}

impl Cache {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, inner: Mutex::default() }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Kept> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.uses += 1;
        let now = inner.uses;
        let (used, kept) = inner.entries.get_mut(key)?;
        let (before, kept) = (std::mem::replace(used, now), kept.clone());
        inner.order.remove(&before);
        inner.order.insert(now, key.to_owned());
        Some(kept)
    }

    pub(crate) fn put(&self, key: &str, kept: Kept) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.remove(key);
        let size = kept.size(key);
        if size > self.most / 2 {
            return;
        }
        while inner.size + size > self.most {
            let Some(oldest) = inner.order.first_key_value().map(|(_, key)| key.clone()) else { break };
            inner.remove(&oldest);
        }
        inner.uses += 1;
        let now = inner.uses;
        inner.size += size;
        inner.order.insert(now, key.to_owned());
        inner.entries.insert(key.to_owned(), (now, kept));
    }
}

impl Inner {
    fn remove(&mut self, key: &str) {
        if let Some((used, kept)) = self.entries.remove(key) {
            self.order.remove(&used);
            self.size -= kept.size(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(size: usize) -> Kept {
        Kept { etag: "\"1\"".to_owned(), body: vec![b'x'; size].into(), link: None }
    }

    #[test]
    fn what_was_not_asked_for_longest_goes_first_and_the_sum_is_bounded() {
        let cache = Cache::new(1000);
        cache.put("a", kept(300));
        cache.put("b", kept(300));
        cache.put("c", kept(300));
        assert!(cache.get("a").is_some(), "used again, so it is younger than `b`");
        cache.put("d", kept(300));
        let there = ["a", "b", "c", "d"].map(|key| cache.get(key).is_some());
        assert_eq!(there, [true, false, true, true]);
        cache.put("huge", kept(600));
        assert!(cache.get("huge").is_none(), "one answer does not drive all others out");
        for round in 0..10_000_u32 {
            cache.put(&round.to_string(), kept(90));
        }
        let inner = cache.inner.lock().unwrap();
        assert!(inner.size <= 1000 && inner.order.len() == inner.entries.len(), "{}", inner.size);
    }

    #[test]
    fn a_new_answer_replaces_the_old_one_even_when_it_is_not_kept() {
        let cache = Cache::new(1000);
        cache.put("a", kept(100));
        cache.put("a", kept(900));
        assert!(cache.get("a").is_none());
    }
}
