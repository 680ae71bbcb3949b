//! The `[[sinks]]` of a layer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::reader::{Fields, clipped};
use super::secret::{SecretRef, parse as parse_secret};
use crate::event::CATALOGUE;
use crate::nearest::nearest;
use crate::plan::plain;
use crate::problem::Report;
use crate::sink::{ASKING, SETTLING, SinkFrom, SinkKind, SinkSpec, Wanted, kinds_named};

/// A sink as configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkConfig {
    /// Its name, unique.
    pub name: String,
    /// Where it sends to.
    pub to: SinkTo,
    /// Names of events, with `*` for any part of one; none = all, or what asks a person for something, for a desktop.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Missions by the beginning of their ids; none = all.
    #[serde(default)]
    pub missions: Vec<String>,
    /// Where it begins when it is new.
    #[serde(default)]
    pub from: SinkFrom,
}

/// Where a sink sends to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkTo {
    /// A request an event.
    Webhook {
        /// Where to.
        url: String,
        /// What it is signed with.
        secret: SecretRef,
    },
    /// A line an event.
    File {
        /// The file, below the folder of `musher.toml` or absolute.
        path: String,
        /// Bytes after which a new file is begun. Default 64 MiB.
        max_size_bytes: u64,
        /// How many full files are kept. Default 5.
        keep: u32,
    },
    /// Notifications on this desktop.
    Desktop,
    /// A hub: `[relay]`, not one of `[[sinks]]`.
    Relay {
        /// Where it is.
        url: String,
        /// What opens it.
        token: SecretRef,
        /// What the project is called there; none is the name of its folder.
        project: Option<String>,
    },
}

impl SinkConfig {
    /// What sort it is.
    pub const fn kind(&self) -> SinkKind {
        match self.to {
            SinkTo::Webhook { .. } => SinkKind::Webhook,
            SinkTo::File { .. } => SinkKind::File,
            SinkTo::Desktop => SinkKind::Desktop,
            SinkTo::Relay { .. } => SinkKind::Relay,
        }
    }

    /// What decisions need to know of it.
    pub fn spec(&self) -> SinkSpec {
        SinkSpec { name: self.name.as_str().into(), kind: self.kind(), from: self.from }
    }

    /// The names of the events that it is for; none = all.
    pub fn shown(&self) -> Vec<Box<str>> {
        let meant = |pattern: &String| kinds_named(pattern, names()).map(Into::into).collect::<Vec<Box<str>>>();
        if self.kinds.is_empty() && self.kind() == SinkKind::Desktop {
            return ASKING.map(Into::into).into();
        }
        self.kinds.iter().flat_map(meant).collect()
    }

    /// Which events it wants. A desktop is told of what settles a question too, to take back what it shows.
    pub fn wanted(&self) -> Wanted {
        let mut kinds = self.shown();
        if self.kind() == SinkKind::Desktop {
            kinds.extend(SETTLING.map(Into::into));
        }
        kinds.sort_unstable();
        kinds.dedup();
        let missions = self.missions.iter().map(|typed| typed.as_str().into()).collect();
        let for_hub = self.kind() == SinkKind::Relay;
        Wanted { sink: self.name.as_str().into(), kinds, missions, for_hub }
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|(name, ..)| *name)
}

/// Reads all `[[sinks]]`.
pub(super) fn read(root: &Fields, report: &mut Report) -> Vec<SinkConfig> {
    let mut sinks: Vec<SinkConfig> = Vec::new();
    let mut first_at: BTreeMap<String, usize> = BTreeMap::new();
    if root.count("sinks") > MOST_SINKS {
        let what = format!("there are more than {MOST_SINKS} sinks");
        report.add_with_fix(root.place_of_entry("sinks", MOST_SINKS), what, "let one receiver pass events on");
    }
    for fields in root.tables("sinks", MOST_SINKS, report) {
        let Some(sink) = read_sink(&fields, report) else { continue };
        let at = fields.place("name");
        if let Some(first) = first_at.get(&sink.name) {
            let line = report.line_of(*first);
            let what = format!("duplicate sink `{}`", sink.name);
            report.add_with_fix(at, what, format!("the first is in line {line}"));
            continue;
        }
        if let SinkTo::File { path, .. } = &sink.to
            && let Some(other) =
                sinks.iter().find(|s| matches!(&s.to, SinkTo::File { path: taken, .. } if taken == path))
        {
            let what = format!("the sink `{}` writes to `{}` already", other.name, clipped(path));
            report.add_with_fix(fields.place("path"), what, "give each sink a file of its own");
        }
        first_at.insert(sink.name.clone(), at);
        sinks.push(sink);
    }
    sinks
}

/// Nothing when something that it cannot do without is missing, which has been reported then.
fn read_sink(fields: &Fields, report: &mut Report) -> Option<SinkConfig> {
    fields.require("name", "the sink", "add a short name of [a-z0-9_-], such as name = \"ops\"", report);
    fields.require("kind", "the sink", "write kind = \"webhook\", kind = \"file\" or kind = \"desktop\"", report);
    let name = fields.text("name", report);
    if let Some(name) = name {
        check_name(name, fields.place("name"), report);
    }
    if name == Some(crate::relay::NAME) {
        let fix = "choose another; to tell a hub, write [relay]";
        report.add_with_fix(fields.place("name"), "`relay` is the name of what tells a hub", fix);
    }
    let kind = fields.word("kind", &[SinkKind::Webhook, SinkKind::File, SinkKind::Desktop], SinkKind::name, report);
    let kinds = read_kinds(fields, report);
    let missions = read_missions(fields, report);
    let from = fields.word("from", &[SinkFrom::Present, SinkFrom::Start], SinkFrom::name, report).unwrap_or_default();
    // Everything is looked at, so that every problem is named at once.
    let (webhook, file) = (read_webhook(fields, kind, report), read_file(fields, kind, report));
    let to = match kind? {
        SinkKind::Webhook => webhook,
        SinkKind::File => file,
        SinkKind::Desktop => {
            look_at(&[], &["url", "secret", "path", "max_size", "keep"], fields, SinkKind::Desktop, report);
            Some(SinkTo::Desktop)
        }
        // The words above leave it out.
        SinkKind::Relay => None,
    };
    Some(SinkConfig { name: name?.to_owned(), to: to?, kinds, missions, from })
}

fn check_name(name: &str, at: usize, report: &mut Report) {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.chars().all(good) || name.len() > LONGEST_NAME {
        let what = format!("the sink's name `{}` is not 1 to {LONGEST_NAME} of [a-z0-9_-]", clipped(name));
        report.add_with_fix(at, what, "shorten it to such characters");
    }
}

fn read_kinds(fields: &Fields, report: &mut Report) -> Vec<String> {
    let patterns = fields.texts("kinds", report).unwrap_or_default();
    for (at, pattern) in &patterns {
        if kinds_named(pattern, names()).next().is_some() {
            continue;
        }
        let fix = match nearest(pattern, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "the reference lists every event; `*` stands for any part of a name, as in `item_*`".to_owned(),
        };
        report.add_with_fix(*at, format!("no event is named `{}`", clipped(pattern)), fix);
    }
    plain(patterns)
}

fn read_missions(fields: &Fields, report: &mut Report) -> Vec<String> {
    let typed = fields.texts("missions", report).unwrap_or_default();
    for (at, id) in &typed {
        let good = id.len() >= 4 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if !good {
            let what = format!("`{}` is no id of a mission", clipped(id));
            report.add_with_fix(
                *at,
                what,
                "write the id as `musher mission list` shows it, or its first 4 digits or more",
            );
        }
    }
    plain(typed)
}

/// Reports what a sink of this kind must have, and what it cannot have.
fn look_at(needs: &[(&str, &str)], others: &[&str], fields: &Fields, kind: SinkKind, report: &mut Report) {
    for (key, fix) in needs {
        fields.require(key, &format!("the {}", kind.name()), fix, report);
    }
    for key in others.iter().filter(|key| fields.has(key)) {
        let what = format!("a sink of kind `{}` has no `{key}`", kind.name());
        report.add_with_fix(fields.place(key), what, "take it out");
    }
}

fn read_webhook(fields: &Fields, kind: Option<SinkKind>, report: &mut Report) -> Option<SinkTo> {
    if kind == Some(SinkKind::Webhook) {
        let needs = [
            ("url", "write where events are sent, such as url = \"https://example.org/musher\""),
            ("secret", "every request is signed: write secret = \"env:NAME\" or \"file:PATH\""),
        ];
        look_at(&needs, &["path", "max_size", "keep"], fields, SinkKind::Webhook, report);
    }
    let url = fields.text("url", report);
    if let Some(problem) = url.and_then(problem_of_url) {
        // The address may hold a secret: it is not shown.
        report.add_with_fix(fields.place("url"), problem, "write it as \"https://HOST/PATH\"");
    }
    let secret = fields.text("secret", report).and_then(|text| {
        let reference = parse_secret(text);
        if reference.is_none() {
            // The text may be the secret: it is not shown.
            let fix =
                "put it into an environment variable and write \"env:NAME\", or into a file and write \"file:PATH\"";
            report.add_with_fix(fields.place("secret"), "the webhook's `secret` is no reference", fix);
        }
        reference
    });
    Some(SinkTo::Webhook { url: url?.to_owned(), secret: secret? })
}

/// Why an address cannot be asked, if it cannot.
pub(crate) fn problem_of_url(url: &str) -> Option<&'static str> {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return Some("the `url` does not begin with https:// or http://");
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.is_empty() || authority.starts_with(':') {
        return Some("the `url` names no host");
    }
    if authority.contains('@') {
        return Some("the `url` holds a name or a password, which is not sent");
    }
    if let Some(problem) = problem_of_port(authority) {
        return Some(problem);
    }
    if url.contains('#') {
        return Some("the `url` has a part after `#`, which is never sent");
    }
    let plain = url.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c));
    (!plain).then_some("the `url` holds a character that must be written as `%` and two digits")
}

/// What is wrong with the port of a host, or with the brackets around it. One that is not understood would be left out, and
/// another port asked.
fn problem_of_port(authority: &str) -> Option<&'static str> {
    let port = if authority.starts_with('[') {
        let Some((_, rest)) = authority.split_once(']') else {
            return Some("the `url` opens a bracket that it does not close");
        };
        if rest.is_empty() { None } else { Some(rest.strip_prefix(':').unwrap_or("none")) }
    } else {
        authority.split_once(':').map(|(_, port)| port)
    };
    let good = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    port.is_some_and(|port| !good(port)).then_some("the `url` has a port that is no number from 1 to 65535")
}

fn read_file(fields: &Fields, kind: Option<SinkKind>, report: &mut Report) -> Option<SinkTo> {
    if kind == Some(SinkKind::File) {
        let needs = [("path", "write which, such as path = \".musher/events.ndjson\"")];
        look_at(&needs, &["url", "secret"], fields, SinkKind::File, report);
    }
    let path = fields.text("path", report);
    let max_size_bytes = fields.size_bytes("max_size", report).unwrap_or(USUAL_SIZE);
    let keep = fields.whole_u32("keep", report).unwrap_or(USUAL_KEEP);
    Some(SinkTo::File { path: path?.to_owned(), max_size_bytes, keep })
}

/// The most sinks that a file may define.
const MOST_SINKS: usize = 100;

/// The longest name of a sink, in characters.
const LONGEST_NAME: usize = 64;

/// Bytes after which a new file is begun.
const USUAL_SIZE: u64 = 64 << 20;

/// How many full files are kept.
const USUAL_KEEP: u32 = 5;
