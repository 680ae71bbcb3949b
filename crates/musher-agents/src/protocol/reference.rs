//! What a request of an agent is called in its run.
//!
//! The host says everything once, by its key, and an answer's key is made of this. JSON-RPC only wants an id to be unique
//! while it is open: an agent may count from 0 in each turn. So the second asking with an id has another reference than
//! the first, and the same one for every daemon that reads the spool.

use std::collections::BTreeMap;

use serde_json::Value;

/// The references that a run's requests were given.
#[derive(Debug, Default)]
pub(super) struct References {
    /// How often each was wanted.
    wanted: BTreeMap<String, u32>,
}

impl References {
    /// The reference of a request with this id that is heard now: the id, and from its second time on a count behind it.
    pub(super) fn next(&mut self, id: &Value) -> String {
        let name = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        let mut reference = name.clone();
        while self.wanted.contains_key(&reference) {
            let times = self.wanted.entry(name.clone()).or_default();
            *times = times.saturating_add(1);
            reference = format!("{name}#{times}");
        }
        self.wanted.insert(reference.clone(), 1);
        reference
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_two_requests_of_a_run_have_the_same_reference() {
        let mut references = References::default();
        let ids = [json!(0), json!("0"), json!("0#4"), json!(0), json!(0), json!("a"), json!("0#4"), json!(null)];
        let given: Vec<String> = ids.iter().map(|id| references.next(id)).collect();
        assert_eq!(given, ["0", "0#2", "0#4", "0#3", "0#5", "a", "0#4#2", "null"]);
    }
}
