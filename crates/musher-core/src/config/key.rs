//! The keys of the files that people write: one table drives reading, suggestions, reference and schema.

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its name in the file.
    pub(crate) name: &'static str,
    /// What its value looks like.
    pub(crate) shape: Shape,
    /// The default in words; empty = none.
    pub(crate) default: &'static str,
    /// What it means.
    pub(crate) doc: &'static str,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A string.
    Text,
    /// An array of strings.
    Texts,
    /// true or false.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number within these bounds.
    Whole(u64, u64),
    /// A number of dollars, not negative; where it caps something, 0 = no cap.
    Money,
    /// A span of time of at least so many seconds.
    Duration(u64),
    /// A number of bytes, at least so many.
    Size(u64),
    /// A moment.
    Moment,
    /// A table.
    Table(&'static [Key]),
    /// An array of tables.
    Tables(&'static [Key]),
    /// A table of tables under names that the user chooses.
    Named(&'static [Key]),
    /// A table of secret references under names that the user chooses.
    Secrets,
    /// A key of a later version: refused, by its own message.
    Later,
}

impl Key {
    /// Describes a key.
    pub(crate) const fn new(name: &'static str, shape: Shape, default: &'static str, doc: &'static str) -> Self {
        Self { name, shape, default, doc }
    }

    /// A key that a later version will have.
    pub(crate) const fn later(name: &'static str) -> Self {
        Self { name, shape: Shape::Later, default: "", doc: "" }
    }

    /// Whether this version has it.
    pub(crate) const fn is_known(&self) -> bool {
        !matches!(self.shape, Shape::Later)
    }
}

impl Shape {
    /// What is expected, after "must be".
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Text => "a string".to_owned(),
            Self::Texts => "an array of strings".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Word(words) => format!("one of {}", quoted(words)),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Money => "a number of dollars, 0 or more".to_owned(),
            Self::Duration(0) => "a duration such as \"90s\", \"30m\" or \"4h\", or whole seconds".to_owned(),
            Self::Duration(_) => "a duration of at least 1 s such as \"90s\", \"30m\" or \"4h\"".to_owned(),
            Self::Size(0) => "a size such as \"10MiB\", or whole bytes".to_owned(),
            Self::Size(least) => format!("a size of at least {least} B such as \"10MiB\""),
            Self::Moment => "a moment with its offset such as 2026-01-31T09:00:00Z".to_owned(),
            Self::Table(_) | Self::Named(_) | Self::Secrets => "a table".to_owned(),
            Self::Tables(_) => "an array of tables".to_owned(),
            Self::Later => "left out".to_owned(),
        }
    }

    /// The type in the reference.
    pub(crate) fn type_name(self) -> String {
        match self {
            Self::Text => "string".to_owned(),
            Self::Texts => "array of strings".to_owned(),
            Self::Flag => "bool".to_owned(),
            Self::Word(words) => words.iter().map(|w| format!("`\"{w}\"`")).collect::<Vec<_>>().join(" or "),
            Self::Whole(least, most) => format!("integer, {least} to {most}"),
            Self::Money => "dollars".to_owned(),
            Self::Duration(_) => "duration".to_owned(),
            Self::Size(_) => "size".to_owned(),
            Self::Moment => "moment (RFC 3339)".to_owned(),
            Self::Table(_) | Self::Named(_) | Self::Secrets => "table".to_owned(),
            Self::Tables(_) => "array of tables".to_owned(),
            Self::Later => String::new(),
        }
    }
}

/// Whether a key is a table: a section of the reference, and no value.
pub(crate) const fn is_section(key: &Key) -> bool {
    matches!(key.shape, Shape::Table(_) | Shape::Tables(_) | Shape::Named(_) | Shape::Secrets)
}

/// Whether keys of this section can be said by variables of their own names. `MUSHER_URL` and `MUSHER_TOKEN` would be too
/// short to say whose they are.
pub(crate) fn has_variables(section: &Key) -> bool {
    matches!(section.shape, Shape::Table(_)) && !["relay", "hub"].contains(&section.name)
}

/// `a`, `b` and so on.
pub(crate) fn quoted(words: &[&str]) -> String {
    words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")
}
