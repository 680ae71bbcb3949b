//! Reads TOML tables by their key tables, and goes on after every problem so that all are found at once.

use toml_edit::{Document, Item, TableLike, Value};

use super::key::{Key, Shape, quoted};
use super::nesting::{DEEPEST, too_deep};
use super::quantity;
use crate::problem::{Problems, Report};
use crate::time::Timestamp;

/// A string of the file and where it stands.
pub(crate) type Placed<'a> = (usize, &'a str);

/// Parses a TOML text and lets `read` take the values out of its root table.
///
/// # Errors
/// A syntax error, or else everything that `read` reported.
pub(crate) fn read<T>(
    file: &str,
    text: &str,
    keys: &'static [Key],
    read: impl FnOnce(&Fields, &mut Report) -> T,
) -> Result<T, Problems> {
    let mut report = Report::new(file, text);
    if let Some(at) = too_deep(text) {
        report.add_with_fix(at, format!("it is nested deeper than {DEEPEST} levels"), "write it flatter");
        return Err(report.into_problems());
    }
    match Document::parse(text) {
        Ok(document) => {
            let value = read(&Fields::open(document.as_table(), keys, 0, &mut report), &mut report);
            report.finish(value)
        }
        Err(error) => {
            let at = error.span().map_or(text.len(), |span| span.start);
            report.add_with_fix(at, error.message().trim().to_owned(), "the file must be TOML, see https://toml.io");
            Err(report.into_problems())
        }
    }
}

/// A table of the file, with the keys that it may have.
pub(crate) struct Fields<'a> {
    table: &'a dyn TableLike,
    keys: &'static [Key],
    at: usize,
}

impl<'a> Fields<'a> {
    /// Opens a table that begins at `at`; reports its unknown keys.
    pub(crate) fn open(table: &'a dyn TableLike, keys: &'static [Key], at: usize, report: &mut Report) -> Self {
        for (name, _) in table.iter() {
            let place = table.key(name).and_then(toml_edit::Key::span).map_or(at, |span| span.start);
            match keys.iter().find(|k| k.name == name) {
                Some(key) if key.is_known() => {}
                Some(_) => {
                    let what = format!("`{name}` is not in this version of musher");
                    report.add_with_fix(place, what, "leave it out");
                }
                None => {
                    let known: Vec<&str> = keys.iter().filter(|k| k.is_known()).map(|k| k.name).collect();
                    let what = format!("unknown key `{}`", clipped(name));
                    let all = || format!("the keys here are {}", quoted(&known));
                    report.add_unknown(place, what, name, known.iter().copied(), all);
                }
            }
        }
        Self { table, keys, at }
    }

    /// Where the table begins.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Where the value of a key begins, or else the table.
    pub(crate) fn place(&self, name: &str) -> usize {
        self.table.get(name).and_then(Item::span).map_or(self.at, |span| span.start)
    }

    /// The place of a key that must be there; reports when it is not.
    pub(crate) fn require(&self, name: &str, of: &str, fix: &str, report: &mut Report) {
        if self.table.get(name).is_none() {
            report.add_with_fix(self.at, format!("{of} has no `{name}`"), fix);
        }
    }

    /// Whether a key is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// How many entries the array under a key has; 1 when it is something else.
    pub(crate) fn count(&self, name: &str) -> usize {
        let Some(item) = self.table.get(name) else { return 0 };
        match (item.as_array_of_tables(), item.as_array()) {
            (Some(tables), _) => tables.len(),
            (None, Some(array)) => array.len(),
            (None, None) => 1,
        }
    }

    /// Where an entry of the array under a key begins, or else the table.
    pub(crate) fn place_of_entry(&self, name: &str, number: usize) -> usize {
        let item = self.table.get(name);
        let table = item.and_then(Item::as_array_of_tables).and_then(|tables| tables.get(number));
        let value = item.and_then(Item::as_array).and_then(|array| array.get(number));
        let span = table.and_then(toml_edit::Table::span).or_else(|| value.and_then(Value::span));
        span.map_or(self.at, |span| span.start)
    }

    fn found(&self, name: &str) -> Option<Found<'a>> {
        let item = self.table.get(name)?;
        let key = self.keys.iter().find(|k| k.name == name)?;
        Some(Found { name: key.name, shape: key.shape, item, at: self.place(name) })
    }

    /// A string that is not blank.
    pub(crate) fn text(&self, name: &str, report: &mut Report) -> Option<&'a str> {
        let text = self.any_text(name, report)?;
        if text.trim().is_empty() {
            let fix = format!("write something, or leave `{name}` out");
            report.add_with_fix(self.place(name), format!("`{name}` is empty"), fix);
            return None;
        }
        Some(text)
    }

    /// A string, perhaps empty.
    pub(crate) fn any_text(&self, name: &str, report: &mut Report) -> Option<&'a str> {
        let found = self.found(name)?;
        match found.item.as_str() {
            Some(text) => checked_text(found.name, found.at, text, report),
            None => found.refuse(report),
        }
    }

    /// true or false.
    pub(crate) fn flag(&self, name: &str, report: &mut Report) -> Option<bool> {
        let found = self.found(name)?;
        found.item.as_bool().or_else(|| found.refuse(report))
    }

    /// A whole number within the bounds of its key.
    pub(crate) fn whole(&self, name: &str, report: &mut Report) -> Option<u64> {
        let found = self.found(name)?;
        let Shape::Whole(least, most) = found.shape else { return None };
        let number = found.item.as_integer().and_then(|n| u64::try_from(n).ok());
        match number.filter(|n| (least..=most).contains(n)) {
            Some(number) => Some(number),
            None => found.refuse(report),
        }
    }

    /// A whole number within the bounds of its key, which are those of 32 bits.
    pub(crate) fn whole_u32(&self, name: &str, report: &mut Report) -> Option<u32> {
        self.whole(name, report).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// Dollars.
    pub(crate) fn money(&self, name: &str, report: &mut Report) -> Option<f64> {
        let found = self.found(name)?;
        #[expect(clippy::cast_precision_loss, reason = "dollars far below 2^53")]
        let dollars = found.item.as_float().or_else(|| found.item.as_integer().map(|n| n as f64));
        match dollars.filter(|d| d.is_finite() && *d >= 0.0 && *d <= MOST_DOLLARS) {
            Some(dollars) => Some(dollars),
            None => found.refuse(report),
        }
    }

    /// Seconds.
    pub(crate) fn duration_secs(&self, name: &str, report: &mut Report) -> Option<u64> {
        let found = self.found(name)?;
        let Shape::Duration(least) = found.shape else { return None };
        match found.quantity(quantity::seconds).filter(|n| *n >= least && *n <= quantity::MOST_SECONDS) {
            Some(seconds) => Some(seconds),
            None => found.refuse(report),
        }
    }

    /// Bytes.
    pub(crate) fn size_bytes(&self, name: &str, report: &mut Report) -> Option<u64> {
        let found = self.found(name)?;
        let Shape::Size(least) = found.shape else { return None };
        match found.quantity(quantity::bytes).filter(|n| *n >= least) {
            Some(bytes) => Some(bytes),
            None => found.refuse(report),
        }
    }

    /// A moment, as a TOML date-time or as a string.
    pub(crate) fn moment(&self, name: &str, report: &mut Report) -> Option<Timestamp> {
        let found = self.found(name)?;
        let text = match found.item.as_value() {
            Some(Value::Datetime(moment)) => Some(moment.value().to_string()),
            Some(Value::String(text)) => Some(text.value().clone()),
            _ => None,
        };
        match text.and_then(|text| text.parse().ok()) {
            Some(moment) => Some(moment),
            None => found.refuse(report),
        }
    }

    /// One of the words of its key; `all` are their meanings and `word` names each.
    pub(crate) fn word<T: Copy>(
        &self,
        name: &str,
        all: &[T],
        word: impl Fn(T) -> &'static str,
        report: &mut Report,
    ) -> Option<T> {
        let found = self.found(name)?;
        let Some(text) = found.item.as_str() else { return found.refuse(report) };
        let known = all.iter().copied().find(|meaning| word(*meaning) == text);
        if known.is_none() {
            let words: Vec<&str> = all.iter().map(|meaning| word(*meaning)).collect();
            let what = format!("unknown {name} `{}`", clipped(text));
            let all_of_them = || format!("one of {}", quoted(&words));
            report.add_unknown(found.at, what, text, words.iter().copied(), all_of_them);
        }
        known
    }

    /// Strings that are not blank, each with its place; none when the key is missing or no array.
    pub(crate) fn texts(&self, name: &str, report: &mut Report) -> Option<Vec<Placed<'a>>> {
        let found = self.found(name)?;
        let Some(array) = found.item.as_array() else { return found.refuse(report) };
        let mut texts = Vec::with_capacity(array.len());
        for value in array {
            let at = value.span().map_or(found.at, |span| span.start);
            match value.as_str() {
                Some(text) if text.trim().is_empty() => {
                    report.add_with_fix(at, format!("`{name}` holds an empty string"), "take it out");
                }
                Some(text) => texts.extend(checked_text(found.name, at, text, report).map(|text| (at, text))),
                None => {
                    let what = format!("`{name}` must be an array of strings, but it holds {}", article(value));
                    report.add(at, what);
                }
            }
        }
        Some(texts)
    }

    /// The table under a key.
    pub(crate) fn table(&self, name: &str, report: &mut Report) -> Option<Fields<'a>> {
        let found = self.found(name)?;
        let Shape::Table(keys) = found.shape else { return None };
        match found.item.as_table_like() {
            Some(table) => Some(Fields::open(table, keys, found.at, report)),
            None => found.refuse(report),
        }
    }

    /// The tables under a key, written as `[[name]]` or as an array of inline tables; at most `most` are opened.
    pub(crate) fn tables(&self, name: &str, most: usize, report: &mut Report) -> Vec<Fields<'a>> {
        let Some(found) = self.found(name) else { return Vec::new() };
        let Shape::Tables(keys) = found.shape else { return Vec::new() };
        let mut tables = Vec::new();
        if let Some(array) = found.item.as_array_of_tables() {
            for table in array.iter().take(most) {
                let at = table.span().map_or(found.at, |span| span.start);
                tables.push(Fields::open(table, keys, at, report));
            }
        } else if let Some(array) = found.item.as_array() {
            for value in array.iter().take(most) {
                let at = value.span().map_or(found.at, |span| span.start);
                match value.as_inline_table() {
                    Some(table) => tables.push(Fields::open(table, keys, at, report)),
                    None => report.add(at, format!("`{name}` must hold tables, but it holds {}", article(value))),
                }
            }
        } else {
            let _: Option<()> = found.refuse(report);
        }
        tables
    }

    /// The tables of a table whose keys the user chooses, under their names.
    pub(crate) fn named(&self, name: &str, report: &mut Report) -> Vec<(&'a str, Fields<'a>)> {
        let Some(found) = self.found(name) else { return Vec::new() };
        let Shape::Named(keys) = found.shape else { return Vec::new() };
        let Some(table) = found.item.as_table_like() else {
            return found.refuse(report).unwrap_or_default();
        };
        let mut tables = Vec::new();
        for (key, item) in table.iter() {
            let named = table.key(key).and_then(toml_edit::Key::span);
            let at = item.span().or(named).map_or(found.at, |span| span.start);
            match item.as_table_like() {
                Some(table) => tables.push((key, Fields::open(table, keys, at, report))),
                None => report.add(at, format!("`{}` must be a table", clipped(key))),
            }
        }
        tables
    }

    /// The strings of a table whose keys the user chooses: name, place of the value, value.
    pub(crate) fn pairs(&self, name: &str, report: &mut Report) -> Vec<(&'a str, usize, &'a str)> {
        let Some(found) = self.found(name) else { return Vec::new() };
        let Some(table) = found.item.as_table_like() else {
            return found.refuse(report).unwrap_or_default();
        };
        let mut pairs = Vec::new();
        for (key, item) in table.iter() {
            let at = item.span().map_or(found.at, |span| span.start);
            match item.as_str() {
                Some(text) => pairs.push((key, at, text)),
                None => report.add(at, format!("`{}` must be a string", clipped(key))),
            }
        }
        pairs
    }
}

struct Found<'a> {
    name: &'static str,
    shape: Shape,
    item: &'a Item,
    at: usize,
}

impl Found<'_> {
    /// Reports that the value is not what its key wants.
    fn refuse<T>(&self, report: &mut Report) -> Option<T> {
        let is = match self.item.as_value() {
            Some(Value::Integer(n)) if !self.wants_text() => n.value().to_string(),
            Some(Value::Float(n)) if !self.wants_text() => n.value().to_string(),
            Some(Value::String(text)) if text.value().chars().count() <= 40 => format!("{:?}", text.value()),
            Some(value) => article(value).to_owned(),
            None => article_of(self.item.type_name()).to_owned(),
        };
        report.add(self.at, format!("`{}` must be {}, but it is {is}", self.name, self.shape.expected()));
        None
    }

    fn wants_text(&self) -> bool {
        matches!(self.shape, Shape::Text | Shape::Word(_) | Shape::Texts | Shape::Flag)
    }

    /// A number, or a string with a unit.
    fn quantity(&self, parse: impl Fn(&str) -> Option<u64>) -> Option<u64> {
        match self.item.as_value()? {
            Value::Integer(number) => u64::try_from(*number.value()).ok(),
            Value::String(text) => parse(text.value()),
            _ => None,
        }
    }
}

/// No program, file name or branch can hold a NUL, and a text that holds one is cut off by whoever reads it next.
fn checked_text<'a>(name: &str, at: usize, text: &'a str, report: &mut Report) -> Option<&'a str> {
    if text.contains('\0') {
        report.add_with_fix(at, format!("`{name}` holds a NUL character"), "take `\\u0000` out");
        return None;
    }
    Some(text)
}

fn article(value: &Value) -> &'static str {
    article_of(value.type_name())
}

/// The name of a TOML type with its article.
fn article_of(type_name: &str) -> &'static str {
    match type_name {
        "string" => "a string",
        "integer" => "an integer",
        "float" => "a float",
        "boolean" => "a boolean",
        "datetime" => "a date-time",
        "array" => "an array",
        "inline table" | "table" => "a table",
        "array of tables" => "an array of tables",
        _ => "something else",
    }
}

/// A name of the file as a message shows it: not longer than a line.
pub(crate) fn clipped(name: &str) -> String {
    let mut short: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    if name.chars().nth(80).is_some() {
        short.push('…');
    }
    short
}

/// The largest sum of dollars that a file may name.
const MOST_DOLLARS: f64 = 1e9;
