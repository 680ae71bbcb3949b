//! Kind and role from the words of a title, for texts that state neither.

use crate::item::Kind;

/// The kind that a title's words suggest: whole words only, in any case; else [`Kind::Implement`].
pub fn kind_of(title: &str) -> Kind {
    let words = Words::of(title);
    KINDS.iter().find(|(known, _)| words.any(known)).map_or(Kind::Implement, |(_, kind)| *kind)
}

/// The role that a title's words and its kind suggest, if any: whole words only, in any case.
pub fn role_of(title: &str, kind: Kind) -> Option<&'static str> {
    let words = Words::of(title);
    if words.any(&["backend", "api", "server"]) {
        Some("backend")
    } else if words.any(&["frontend", "ui", "web"]) {
        Some("frontend")
    } else if kind == Kind::Test || words.any(&["qa"]) {
        Some("tester")
    } else if kind == Kind::Review {
        Some("reviewer")
    } else if words.any(&["devops", "infrastructure", "deploy"]) {
        Some("devops")
    } else {
        None
    }
}

/// The first line that has a word of the title decides.
const KINDS: [(&[&str], Kind); 5] = [
    (&["design", "rfc", "proposal"], Kind::Design),
    (&["test", "tests", "spec"], Kind::Test),
    (&["review"], Kind::Review),
    (&["merge"], Kind::MergeGate),
    (&["followup", "follow-up", "fix"], Kind::Followup),
];

/// A title between spaces, in lower case, with spaces for everything that neither is part of a word nor joins two.
struct Words(String);

impl Words {
    fn of(title: &str) -> Self {
        let lower = title.to_lowercase();
        let words: Vec<&str> =
            lower.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').filter(|w| !w.is_empty()).collect();
        // `follow-up` is a word, and so are the parts of `api-server`.
        let parts = words.iter().filter(|w| w.contains('-')).flat_map(|w| w.split('-'));
        let all: Vec<&str> = words.iter().copied().chain(parts).collect();
        Self(format!(" {} ", all.join(" ")))
    }

    fn any(&self, known: &[&str]) -> bool {
        known.iter().any(|word| self.0.contains(&format!(" {word} ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_of_a_title_say_its_kind() {
        let cases = [
            ("Design the schema", Kind::Design),
            ("RFC: storage", Kind::Design),
            ("Add tests for login", Kind::Test),
            ("Use the latest greatest", Kind::Implement),
            ("Review the design", Kind::Design),
            ("review!", Kind::Review),
            ("Merge it", Kind::MergeGate),
            ("Emerge", Kind::Implement),
            ("A follow-up", Kind::Followup),
            ("Fix the crash", Kind::Followup),
            ("Prefix keys", Kind::Implement),
            ("API-test", Kind::Test),
            ("test_helper", Kind::Implement),
            ("", Kind::Implement),
        ];
        for (title, kind) in cases {
            assert_eq!(kind_of(title), kind, "{title}");
        }
    }

    #[test]
    fn only_whole_words_of_a_title_say_its_role() {
        let cases = [
            ("Build the cache", None),
            ("Build the UI", Some("frontend")),
            ("The server's cache", Some("backend")),
            ("Rapid growth", None),
            ("Tests of the API", Some("backend")),
            ("Add tests", Some("tester")),
            ("QA round", Some("tester")),
            ("Review it", Some("reviewer")),
            ("Deploy it", Some("devops")),
            ("Redeploy it", None),
        ];
        for (title, role) in cases {
            assert_eq!(role_of(title, kind_of(title)), role, "{title}");
        }
    }
}
