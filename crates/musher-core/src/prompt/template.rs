//! The project's own prompt: a small part of Liquid, read strictly and filled in once.
//!
//! `{{ issue.title }}` stands for a value, `{% if attempt %} … {% else %} … {% endif %}` for one text or the other, and
//! between `{% raw %}` and `{% endraw %}` braces are braces. What is filled in is never read again, so nobody's title can
//! name a variable.

use crate::nearest::nearest;

/// What a template can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    Identifier,
    Title,
    Description,
    Labels,
    Attempt,
}

const VARIABLES: [(&str, Variable); 5] = [
    ("issue.identifier", Variable::Identifier),
    ("issue.title", Variable::Title),
    ("issue.description", Variable::Description),
    ("issue.labels", Variable::Labels),
    ("attempt", Variable::Attempt),
];

/// What the variables stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values<'a> {
    /// `issue.identifier`: the issue as it is written, such as `#12`, or the item's key.
    pub identifier: String,
    /// `issue.title`: the item's title.
    pub title: &'a str,
    /// `issue.description`: the item's text, with the words of others in their fences.
    pub description: &'a str,
    /// `issue.labels`: the item's labels, separated by commas.
    pub labels: String,
    /// `attempt`: nothing at first, from 1 on when it is tried again.
    pub attempt: Option<u32>,
}

/// Something in a template that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, in bytes.
    pub at: usize,
    /// What.
    pub what: String,
    /// How to mend it.
    pub fix: String,
}

/// A template that can be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Variable),
    If(Variable),
    Else,
    End,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Everything in it that is no part of the language, or names no variable.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let mut reader = Reader { text, at: 0, pieces: Vec::new(), open: Vec::new(), faults: Vec::new() };
        reader.read();
        let Reader { pieces, faults, .. } = reader;
        if faults.is_empty() { Ok(Self { pieces }) } else { Err(faults) }
    }

    /// Whether it has the item's text itself.
    pub fn tells_description(&self) -> bool {
        self.pieces.contains(&Piece::Value(Variable::Description))
    }

    /// The text with everything filled in.
    pub fn render(&self, values: &Values<'_>) -> String {
        let mut out = String::new();
        // Whether what stands here counts, and everything around it.
        let mut counts = vec![true];
        for piece in &self.pieces {
            let (now, around) = (counts.last() != Some(&false), counts.iter().rev().nth(1) != Some(&false));
            match piece {
                Piece::Text(text) if now => out.push_str(text),
                Piece::Value(variable) if now => out.push_str(&value(*variable, values)),
                Piece::Text(_) | Piece::Value(_) => {}
                Piece::If(variable) => counts.push(now && !value(*variable, values).trim().is_empty()),
                Piece::Else => {
                    counts.pop();
                    counts.push(around && !now);
                }
                Piece::End => drop(counts.pop()),
            }
        }
        out
    }
}

fn value(variable: Variable, values: &Values<'_>) -> String {
    match variable {
        Variable::Identifier => values.identifier.clone(),
        Variable::Title => values.title.to_owned(),
        Variable::Description => values.description.to_owned(),
        Variable::Labels => values.labels.clone(),
        Variable::Attempt => values.attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    pieces: Vec<Piece>,
    /// Where each open `if` stands, and whether its `else` has been.
    open: Vec<(usize, bool)>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn read(&mut self) {
        while self.faults.len() < MOST_FAULTS {
            let rest = &self.text[self.at..];
            let next = [rest.find("{{"), rest.find("{%")].into_iter().flatten().min();
            let plain = next.unwrap_or(rest.len());
            self.push_text(&rest[..plain]);
            let Some(next) = next else { break };
            let begin = self.at + next;
            let is_value = self.text[begin..].starts_with("{{");
            let close = if is_value { "}}" } else { "%}" };
            // What is meant for one line has its end there.
            let line = self.text[begin + 2..].split('\n').next().unwrap_or_default();
            let Some(length) = line.find(close) else {
                let what = format!("`{}` has no `{close}`", &self.text[begin..begin + 2]);
                self.fault(
                    begin,
                    what,
                    "write {% raw %} before and {% endraw %} after braces that are meant as braces",
                );
                self.at = begin + 2;
                continue;
            };
            let inner = line[..length].trim();
            self.at = begin + 2 + length + 2;
            if is_value { self.value(begin, inner) } else { self.tag(begin, inner) }
        }
        if let Some((at, _)) = self.open.first().copied() {
            self.fault(at, "this `{% if %}` has no `{% endif %}`".to_owned(), "write {% endif %} where it ends");
        }
    }

    fn push_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text.to_owned()));
        }
    }

    fn value(&mut self, at: usize, inner: &str) {
        if let Some(variable) = self.variable(at, inner) {
            self.pieces.push(Piece::Value(variable));
        }
    }

    fn tag(&mut self, at: usize, inner: &str) {
        let (word, rest) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
        match (word, rest.trim()) {
            ("if", name) => {
                if self.open.len() >= DEEPEST {
                    self.fault(at, format!("more than {DEEPEST} `if` in each other"), "write it with fewer");
                } else {
                    let variable = self.variable(at, name);
                    self.pieces.extend(variable.map(Piece::If));
                    self.open.push((at, false));
                }
            }
            ("else", "") => match self.open.last_mut() {
                Some((_, has_else @ false)) => {
                    *has_else = true;
                    self.pieces.push(Piece::Else);
                }
                Some(_) | None => {
                    self.fault(at, "this `{% else %}` belongs to no `{% if %}`".to_owned(), "take it out")
                }
            },
            ("endif", "") => {
                if self.open.pop().is_some() {
                    self.pieces.push(Piece::End);
                } else {
                    self.fault(at, "this `{% endif %}` belongs to no `{% if %}`".to_owned(), "take it out");
                }
            }
            ("raw", "") => {
                let rest = &self.text[self.at..];
                let Some(end) = rest.find(END_OF_RAW) else {
                    let fix = "write {% endraw %} where it ends";
                    return self.fault(at, "this `{% raw %}` has no `{% endraw %}`".to_owned(), fix);
                };
                self.push_text(&rest[..end]);
                self.at += end + END_OF_RAW.len();
            }
            _ => {
                let what = format!("`{}` is no part of a prompt", clipped(inner));
                self.fault(at, what, "there are {% if NAME %}, {% else %}, {% endif %}, {% raw %} and {% endraw %}");
            }
        }
    }

    fn variable(&mut self, at: usize, name: &str) -> Option<Variable> {
        if let Some((_, variable)) = VARIABLES.iter().find(|(known, _)| *known == name) {
            return Some(*variable);
        }
        let all = VARIABLES.map(|(known, _)| format!("`{known}`")).join(", ");
        let (what, fix) = if name.contains('|') {
            ("filters such as `| upcase` are not read".to_owned(), "take the filter out".to_owned())
        } else {
            let near = nearest(name, VARIABLES.iter().map(|(known, _)| *known));
            let fix = near.map_or_else(|| format!("there are {all}"), |near| format!("did you mean `{near}`?"));
            (format!("unknown variable `{}`", clipped(name)), fix)
        };
        self.fault(at, what, fix);
        None
    }

    fn fault(&mut self, at: usize, what: String, fix: impl Into<String>) {
        self.faults.push(Fault { at, what, fix: fix.into() });
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// How deep `if` may stand in each other.
const DEEPEST: usize = 16;

/// After so many faults nobody reads on.
const MOST_FAULTS: usize = 50;

/// How much of a word is shown, in characters.
const SHOWN: usize = 60;

const END_OF_RAW: &str = "{% endraw %}";

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values<'static> {
        Values {
            identifier: "#12".into(),
            title: "Fix {{ attempt }}",
            description: "It is broken.",
            labels: "a, b".into(),
            attempt: None,
        }
    }

    #[test]
    fn values_are_filled_in_once_and_only_what_counts_is_said() {
        let cases = [
            ("plain", "plain"),
            ("{{ issue.identifier }}: {{issue.title}}", "#12: Fix {{ attempt }}"),
            ("{{ issue.labels }} {{ issue.description }}", "a, b It is broken."),
            ("[{{ attempt }}]", "[]"),
            ("{% if attempt %}again{% else %}first{% endif %}.", "first."),
            ("{% if issue.title %}a{% if attempt %}b{% else %}c{% endif %}d{% endif %}", "acd"),
            ("{% if attempt %}a{% if issue.title %}b{% else %}c{% endif %}{% else %}e{% endif %}f", "ef"),
            ("{% raw %}{{ no }} {% if %}{% endraw %}!", "{{ no }} {% if %}!"),
        ];
        for (text, said) in cases {
            assert_eq!(Template::parse(text).unwrap().render(&values()), said, "{text}");
        }
        let again = Values { attempt: Some(2), ..values() };
        let template = Template::parse("{% if attempt %}retry #{{ attempt }}{% else %}first{% endif %}").unwrap();
        assert_eq!(template.render(&again), "retry #2");
    }

    #[test]
    fn what_is_no_part_of_the_language_is_named_with_its_place() {
        let cases = [
            ("ab {{ issue.titel }}", 3, "unknown variable `issue.titel`", "did you mean `issue.title`?"),
            ("{{ issue.title | upcase }}", 0, "filters", "take the filter out"),
            ("{{ issue.title", 0, "has no `}}`", "raw"),
            ("{% for x in y %}", 0, "`for x in y` is no part", "{% if NAME %}"),
            ("x{% if attempt %}y", 1, "has no `{% endif %}`", "endif"),
            ("{% else %}", 0, "belongs to no", "take it out"),
            ("{% endif %}", 0, "belongs to no", "take it out"),
            ("{% if attempt %}{% else %}{% else %}{% endif %}", 26, "belongs to no", "take it out"),
            ("{% raw %}{{", 0, "has no `{% endraw %}`", "endraw"),
        ];
        for (text, at, what, fix) in cases {
            let faults = Template::parse(text).unwrap_err();
            let first = &faults[0];
            assert!(first.at == at && first.what.contains(what) && first.fix.contains(fix), "{text}: {faults:?}");
        }
    }
}
