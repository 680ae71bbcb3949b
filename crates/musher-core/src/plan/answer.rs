//! The plan in an agent's closing words.

use std::fmt::Write;

use super::fence;
use super::file::looks_like_toml;
use super::parts::{Plan, one_line};
use super::toml::parse_toml;
use crate::problem::Problems;

/// The longest answer that is read for a plan, in bytes: 256 KiB.
pub const ANSWER_LIMIT: usize = 256 << 10;

/// A plan that an agent has answered with.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The plan, as `musher plan check` accepts it.
    pub plan: Plan,
    /// Its file, exactly as the agent wrote it.
    pub file: String,
}

/// Why closing words are no answer to someone who wants a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// They are longer than musher reads. Cut, they might be a plan that lacks its end.
    #[error("its answer has more than {ANSWER_LIMIT} bytes")]
    TooLong,
    /// There is no plan in them.
    #[error("its answer holds no plan")]
    Missing,
    /// There is one, and these are its problems.
    #[error("its plan cannot be used: {}", first(problems))]
    Refused {
        /// Every problem of it.
        problems: Problems,
        /// The file that they are about.
        file: String,
    },
}

impl NoPlan {
    /// What the agent's next attempt is told besides the message, at most so many bytes.
    pub fn lesson(&self, most: usize) -> String {
        match self {
            Self::TooLong => {
                "Answer with the plan alone; put long texts into files of the repository and name them.".to_owned()
            }
            Self::Missing => {
                "Put the whole plan file between a line ```toml and a line ``` at the end of the answer.".to_owned()
            }
            Self::Refused { problems, file } => list(problems, file, most),
        }
    }
}

/// Finds the plan in closing words and reads it as `musher plan check` does: words that begin as a plan file does are one
/// as a whole; otherwise it is the last fenced block of TOML in them.
///
/// # Errors
/// There is none, or it cannot be used.
pub fn read_answer(words: &str) -> Result<Answer, NoPlan> {
    if words.len() > ANSWER_LIMIT {
        return Err(NoPlan::TooLong);
    }
    let file =
        if looks_like_toml(words) { words.to_owned() } else { fence::last_toml(words).ok_or(NoPlan::Missing)? };
    match parse_toml("", file.as_bytes()) {
        Ok(plan) => Ok(Answer { plan, file }),
        Err(problems) => Err(NoPlan::Refused { problems, file }),
    }
}

/// Whether closing words hold something that is meant to be a plan, good or bad.
pub fn holds_plan(words: &str) -> bool {
    looks_like_toml(words) || fence::last_toml(words).is_some()
}

/// Whether closing words begin as a plan file does: then they are one as a whole, however long.
pub fn begins_as_plan(words: &str) -> bool {
    looks_like_toml(words)
}

fn first(problems: &Problems) -> String {
    problems.shown.first().map(|problem| one_line(&problem.to_string())).unwrap_or_default()
}

/// How many characters of a line of the plan are shown below its problem.
const LINE_CHARS: usize = 120;

/// The problems with the lines that they are about, for an agent may not remember what it wrote.
fn list(problems: &Problems, file: &str, most: usize) -> String {
    let mut text = String::from("Each problem with its line and column in the plan, and that line:\n");
    let lines: Vec<&str> = file.lines().collect();
    for (number, problem) in problems.shown.iter().enumerate() {
        let line = problem.line.checked_sub(1).and_then(|at| lines.get(at)).map_or("", |line| line.trim());
        let line: String = line.chars().take(LINE_CHARS).collect();
        let entry = format!("\n{problem}\n    {line}");
        let left = problems.shown.len() - number + problems.more;
        // The first problems are the ones to keep: the others often follow from them.
        if text.len() + entry.len() + MORE_BYTES > most {
            // Writing to a string cannot fail.
            let _ = write!(text, "\nand {left} more");
            return text;
        }
        text.push_str(entry.trim_end());
    }
    if problems.more > 0 {
        let _ = write!(text, "\nand {} more", problems.more);
    }
    text
}

/// Room for "and … more".
const MORE_BYTES: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "goal = \"g\"\n[[items]]\nid = \"a\"\ntitle = \"Do a\"\n";

    fn other(id: &str) -> String {
        PLAN.replace("\"a\"", &format!("\"{id}\""))
    }

    fn block(content: &str) -> String {
        format!("```toml\n{content}```\n")
    }

    #[test]
    fn the_plan_is_the_last_block_of_toml_or_words_that_begin_as_a_plan_does() {
        let body = "goal = \"g\"\n[[items]]\nid = \"a\"\nbody = \"\"\"\nSee:\n```toml\nx = 1\n```\n\"\"\"\n";
        let quoted = "goal = \"it's \\\"\\\"\\\" quoted\" # don't\n[[items]]\nid = \"a\"\ntitle = '\"\"\" '\n";
        let cases: [(&str, String, &str); 14] = [
            ("a block", format!("Here it is:\n\n{}\nDone.", block(PLAN)), PLAN),
            ("the whole text", PLAN.to_owned(), PLAN),
            ("the whole text after a comment", format!("# the plan\n{PLAN}"), &format!("# the plan\n{PLAN}")),
            ("two blocks", format!("Draft:\n{}Better:\n{}", block(&other("b")), block(PLAN)), PLAN),
            ("a block of something else after it", format!("{}```sh\nmake\n```\n", block(PLAN)), PLAN),
            ("a block without an end", format!("```toml\n{PLAN}"), PLAN),
            ("a block of tildes", format!("~~~~ TOML\n{PLAN}~~~~\n"), PLAN),
            ("a longer fence", format!("````toml\n{body}````\n"), body),
            ("an indented block", format!("  ```toml plan\n{PLAN}  ```\n"), PLAN),
            ("lines that end as on Windows", block(PLAN).replace('\n', "\r\n"), &PLAN.replace('\n', "\r\n")),
            ("a body with a block of its own", block(body), body),
            ("the same as a whole", body.to_owned(), body),
            ("quotes and comments with quotes", block(quoted), quoted),
            ("a string without an end, then a good block", format!("```toml\nx = \"\"\"\n```\n{}", block(PLAN)), PLAN),
        ];
        for (name, words, file) in cases {
            assert!(holds_plan(&words), "{name}");
            assert_eq!(read_answer(&words).map(|answer| answer.file).as_deref(), Ok(file), "{name}");
        }
    }

    #[test]
    fn what_is_no_plan_is_refused_with_its_problems() {
        let cycle = "goal = \"g\"\n[[items]]\nid = \"a\"\ntitle = \"a\"\ndepends_on = [\"b\"]\n[[items]]\nid = \"b\"\n\
                     title = \"b\"\ndepends_on = [\"a\"]\n";
        let cases = [
            ("nothing", String::new(), "no plan", "```toml"),
            ("words", "I have divided the work.".to_owned(), "no plan", "```toml"),
            ("another block", "```json\n{}\n```".to_owned(), "no plan", "```toml"),
            ("a broken block", block("goal = \n"), "1:8: ", "goal ="),
            ("a cycle", block(cycle), "wait for each other", "a → b → a"),
            (
                "a thousand blocks that never end",
                "```toml\na = \"\"\"\n```\n\"\"\"\n".repeat(1_000),
                "2:1: ",
                "\n2:1: ",
            ),
            ("an unknown key", block(&format!("{PLAN}prio = \"low\"\n")), "5:1: ", "prio = \"low\""),
            ("a good draft and a broken end", format!("{}{}", block(PLAN), block("goal = 7\n")), "1:1: ", "goal = 7"),
        ];
        for (name, words, message, lesson) in cases {
            let refused = read_answer(&words).unwrap_err();
            assert!(refused.to_string().contains(message), "{name}: {refused}");
            assert!(refused.lesson(8_000).contains(lesson), "{name}: {}", refused.lesson(8_000));
        }
    }

    #[test]
    fn a_long_plan_is_read_whole_and_one_that_is_too_long_not_at_all() {
        let with = |bytes: usize| {
            let head = "goal = \"g\"\n[[items]]\nid = \"a\"\nbody = \"";
            format!("{head}{}\"\n", "x".repeat(bytes - head.len() - 2))
        };
        let longest = with(ANSWER_LIMIT);
        assert_eq!(longest.len(), ANSWER_LIMIT);
        assert_eq!(read_answer(&longest).unwrap().file, longest);
        assert_eq!(read_answer(&with(ANSWER_LIMIT + 1)), Err(NoPlan::TooLong));
    }

    #[test]
    fn a_lesson_keeps_the_first_problems_and_counts_the_others() {
        let items: String = (0..500).map(|n| format!("[[items]]\nid = \"i{n}\"\ntitel{n} = \"long\"\n")).collect();
        let refused = read_answer(&block(&format!("goal = \"g\"\n{items}"))).unwrap_err();
        let lesson = refused.lesson(2_000);
        assert!(lesson.len() <= 2_000 && lesson.contains("\n2:1: "), "{lesson}");
        let counted = lesson.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).count();
        let NoPlan::Refused { problems, .. } = refused else { panic!() };
        assert!(lesson.ends_with(&format!("and {} more", problems.shown.len() + problems.more - counted)), "{lesson}");
    }
}
