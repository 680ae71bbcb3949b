//! `MUSHER_*` variables as a layer of configuration.

use toml_edit::{Array, Table, Value};

use super::key::{Key, Shape, has_variables, is_section};
use super::keys::ROOT;
use super::layer::{self, Layer};
use super::reader::Fields;
use crate::problem::{Problem, Problems, Report};

/// Reads the variables that name a key of `[project]`, `[policy]` or `[server]` in upper case, such as `MUSHER_GATE`,
/// `MUSHER_GATE_TIMEOUT`, `MUSHER_MAX_PARALLEL_ITEMS` (also `MUSHER_MAX_PARALLEL`) and `MUSHER_LISTEN`; and
/// `MUSHER_RELAY_URL` and `MUSHER_RELAY_PROJECT`, over which a file wins ([`RelayConfig`](super::RelayConfig)).
///
/// Lists are separated by commas. Variables that are empty say nothing, and other names are left alone: an agent's
/// process has `MUSHER_ITEM` and its like. In such a process `MUSHER_BASE` is the commit that its work began at and not
/// a setting, so it is left alone where there is a `MUSHER_RUN`.
///
/// # Errors
/// Every problem of every variable; a problem's file is the variable.
pub fn environment<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Result<Layer, Problems>
where
    N: AsRef<str>,
    V: AsRef<str>,
{
    let variables: Vec<(N, V)> = variables.into_iter().collect();
    let in_run = variables.iter().any(|(name, _)| name.as_ref() == "MUSHER_RUN");
    let mut layer = Layer::default();
    let mut problems: Vec<Problem> = Vec::new();
    let mut more = 0;
    for (variable, text) in &variables {
        let (variable, text) = (variable.as_ref(), text.as_ref());
        if text.is_empty() || (in_run && variable == "MUSHER_BASE") {
            continue;
        }
        let Some((section, key)) = key_of(variable) else { continue };
        match read(variable, text, section, key) {
            Ok(over) => layer = layer.merge(over),
            Err(found) => {
                problems.extend(found.shown);
                more += found.more;
            }
        }
    }
    if problems.is_empty() {
        layer.relay_fallback = std::mem::take(&mut layer.relay);
        return Ok(layer);
    }
    problems.sort_by(|a, b| a.file.cmp(&b.file));
    Err(Problems { shown: problems, more })
}

/// The name of the variable for a key.
pub(super) fn variable_of(key: &Key) -> String {
    format!("MUSHER_{}", key.name.to_ascii_uppercase())
}

/// The keys of `[relay]` that a variable can say.
const RELAYED: [&str; 2] = ["URL", "PROJECT"];

/// The section and the key that a variable stands for.
fn key_of(variable: &str) -> Option<(&'static Key, &'static Key)> {
    let variable = if variable == "MUSHER_MAX_PARALLEL" { "MUSHER_MAX_PARALLEL_ITEMS" } else { variable };
    if let Some(key) = variable.strip_prefix("MUSHER_RELAY_").filter(|key| RELAYED.contains(key)) {
        let section = ROOT.iter().find(|section| section.name == "relay")?;
        let Shape::Table(keys) = section.shape else { return None };
        return keys.iter().find(|known| known.name.eq_ignore_ascii_case(key)).map(|key| (section, key));
    }
    ROOT.iter().filter(|section| has_variables(section)).find_map(|section| {
        let Shape::Table(keys) = section.shape else { return None };
        // A table is no value: a variable of such a name is somebody else's.
        let settable = |key: &&Key| key.is_known() && !is_section(key);
        let key = keys.iter().filter(settable).find(|key| variable_of(key) == variable)?;
        Some((section, key))
    })
}

/// Reads one variable as if it stood in a file.
fn read(variable: &str, text: &str, section: &Key, key: &Key) -> Result<Layer, Problems> {
    let mut inner = Table::new();
    inner.insert(key.name, toml_edit::Item::Value(value(text, key.shape)));
    let mut root = Table::new();
    root.insert(section.name, toml_edit::Item::Table(inner));
    let mut report = Report::new(variable, text);
    let fields = Fields::open(&root, ROOT, 0, &mut report);
    let layer = layer::read(&fields, &mut report);
    report.finish(layer)
}

/// The TOML value that a text stands for; a string where it is not what the key wants, so that the reader refuses it.
fn value(text: &str, shape: Shape) -> Value {
    let trimmed = text.trim();
    let parsed = match shape {
        Shape::Flag => match trimmed {
            "true" | "1" | "yes" | "on" => Some(Value::from(true)),
            "false" | "0" | "no" | "off" => Some(Value::from(false)),
            _ => None,
        },
        Shape::Whole(..) => trimmed.parse::<i64>().ok().map(Value::from),
        Shape::Money => trimmed.parse::<f64>().ok().map(Value::from),
        Shape::Texts => {
            let texts = trimmed.split(',').map(str::trim).filter(|text| !text.is_empty());
            Some(Value::Array(texts.collect::<Array>()))
        }
        Shape::Text | Shape::Word(_) | Shape::Duration(_) | Shape::Size(_) | Shape::Moment => None,
        Shape::Table(_) | Shape::Tables(_) | Shape::Named(_) | Shape::Secrets | Shape::Later => None,
    };
    parsed.unwrap_or_else(|| Value::from(text))
}
