//! The environment of an agent: a short list, and nothing else.

use std::collections::BTreeMap;

/// What an agent gets from musher's own environment without being named.
const PASSED: [&str; 4] = ["PATH", "HOME", "LANG", "TERM"];

/// What musher tells an agent in its environment.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The item's id.
    pub item: &'a str,
    /// The run's id.
    pub run: &'a str,
    /// The mission's id.
    pub mission: &'a str,
    /// Which attempt this is; the first is 1.
    pub attempt: u32,
    /// The worktree; also the agent's `PWD`.
    pub worktree: &'a str,
    /// The commit that the work starts from.
    pub base: &'a str,
    /// The file that holds the prompt.
    pub prompt_file: &'a str,
    /// The file that the agent may write its result to.
    pub result: &'a str,
    /// The worktree's slot.
    pub slot: u32,
    /// The first of the slot's ports.
    pub port_base: u16,
}

/// The whole environment of an agent: what is always passed and what `names` adds from `parent`, where it is set, and
/// the facts, which nothing can replace.
pub fn environment<S: AsRef<str>>(
    parent: &BTreeMap<String, String>,
    names: &[S],
    facts: &Facts<'_>,
) -> BTreeMap<String, String> {
    let wanted = PASSED.into_iter().chain(names.iter().map(AsRef::as_ref));
    let passed =
        wanted.filter_map(|name| parent.get_key_value(name)).map(|(name, value)| (name.clone(), value.clone()));
    let (attempt, slot, port_base) = (facts.attempt.to_string(), facts.slot.to_string(), facts.port_base.to_string());
    let told = [
        ("MUSHER_ITEM", facts.item),
        ("MUSHER_RUN", facts.run),
        ("MUSHER_MISSION", facts.mission),
        ("MUSHER_ATTEMPT", &attempt),
        ("MUSHER_WORKTREE", facts.worktree),
        ("MUSHER_BASE", facts.base),
        ("MUSHER_PROMPT_FILE", facts.prompt_file),
        ("MUSHER_RESULT", facts.result),
        ("MUSHER_SLOT", &slot),
        ("MUSHER_PORT_BASE", &port_base),
        ("PWD", facts.worktree),
    ];
    passed.chain(told.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'_> = Facts {
        item: "i",
        run: "r",
        mission: "m",
        attempt: 2,
        worktree: "/w",
        base: "abc",
        prompt_file: "/p",
        result: "/res",
        slot: 3,
        port_base: 20_030,
    };

    fn parent() -> BTreeMap<String, String> {
        let set = [("PATH", "/bin"), ("HOME", "/home/x"), ("GITHUB_TOKEN", "t"), ("API_KEY", "k"), ("PWD", "/here")];
        set.into_iter().chain([("MUSHER_RUN", "another")]).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    }

    #[test]
    fn nothing_passes_but_the_list_and_what_is_named() {
        let env = environment(&parent(), &["API_KEY", "UNSET"], &FACTS);
        let names: Vec<&str> = env.keys().map(String::as_str).collect();
        let expected = "API_KEY HOME MUSHER_ATTEMPT MUSHER_BASE MUSHER_ITEM MUSHER_MISSION MUSHER_PORT_BASE \
                        MUSHER_PROMPT_FILE MUSHER_RESULT MUSHER_RUN MUSHER_SLOT MUSHER_WORKTREE PATH PWD";
        assert_eq!(names.join(" "), expected);
    }

    #[test]
    fn a_name_in_the_configuration_replaces_no_fact() {
        let env = environment(&parent(), &["MUSHER_RUN", "PWD"], &FACTS);
        assert_eq!((env["MUSHER_RUN"].as_str(), env["PWD"].as_str()), ("r", "/w"));
        assert_eq!((env["MUSHER_ATTEMPT"].as_str(), env["MUSHER_PORT_BASE"].as_str()), ("2", "20030"));
    }
}
