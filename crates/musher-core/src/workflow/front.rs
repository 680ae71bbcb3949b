//! The YAML at the head of a workflow, as a tree that knows its lines.
//!
//! The parser hands out events and never calls itself; what is deep, large, or refers to another place is refused here
//! before a tree is made of it, so no text takes more than a small multiple of its own size.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// A value, and the line that it begins in, from 1 at the head's own first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A text, and whether it stands there without quotes.
    Scalar(String, bool),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) node: Node,
}

/// Why there is no tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) line: usize,
    pub(super) what: String,
    pub(super) fix: &'static str,
}

enum Open {
    List(usize, Vec<Node>),
    Map(usize, Vec<Entry>, Option<(String, usize)>),
}

/// Reads the head; nothing when it is empty.
pub(super) fn read(text: &str) -> Result<Option<Node>, Unread> {
    let (mut open, mut root, mut nodes, mut documents): (Vec<Open>, Option<Node>, usize, usize) =
        (Vec::new(), None, 0, 0);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Unread {
            line: error.marker().line(),
            what: format!("the front matter is no YAML: {}", error.info()),
            fix: "mend it there, or look at the lines before",
        })?;
        let line = span.start.line();
        let refuse = |what: &str, fix| Err(Unread { line, what: what.to_owned(), fix });
        nodes += 1;
        if nodes > MOST_NODES || open.len() > DEEPEST {
            return refuse(
                "the front matter is too large or too deep",
                "a workflow has a few dozen keys, two levels deep",
            );
        }
        let done = match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return refuse("the front matter holds a second document", "keep the first");
                }
                continue;
            }
            Event::Alias(_)
            | Event::Scalar(_, _, 1.., _)
            | Event::SequenceStart(1.., _)
            | Event::MappingStart(1.., _) => {
                return refuse("anchors and aliases are not read", "write the value out in each place");
            }
            Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                return refuse("tags such as `!!str` are not read", "take the tag out");
            }
            Event::Scalar(text, style, _, None) => {
                Node { line, value: Value::Scalar(text.into_owned(), style == ScalarStyle::Plain) }
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(line, Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(line, Vec::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(line, nodes)) => Node { line, value: Value::List(nodes) },
                Some(Open::Map(line, entries, _)) => Node { line, value: Value::Map(entries) },
                None => continue,
            },
        };
        match open.last_mut() {
            None => root = Some(done),
            Some(Open::List(_, nodes)) => nodes.push(done),
            Some(Open::Map(_, entries, waiting)) => match waiting.take() {
                Some((key, line)) => entries.push(Entry { key, line, node: done }),
                None => {
                    let Value::Scalar(key, _) = done.value else {
                        return refuse("a key that is no text", "write a name before the colon");
                    };
                    if entries.iter().any(|entry| entry.key == key) {
                        return refuse("a key stands there twice", "keep one of them");
                    }
                    *waiting = Some((key, line));
                }
            },
        }
    }
    // A head of comments alone is one empty value.
    Ok(root.filter(|root| {
        root.value != Value::Scalar(String::new(), true) && root.value != Value::Scalar("~".into(), true)
    }))
}

/// How deep values may stand in each other.
const DEEPEST: usize = 16;

/// How many values, keys and brackets there may be.
const MOST_NODES: usize = 4_096;
