//! References to secrets. Config never holds a secret itself: it is copied, committed and shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::agents::is_variable;
use super::reader::{Fields, clipped};
use crate::problem::Report;

/// Where a secret's value is to be found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretRef {
    /// In this environment variable of the daemon.
    Env(String),
    /// In this file, without the newline at its end.
    File(String),
}

impl std::fmt::Display for SecretRef {
    /// As it is written in the configuration; the secret itself is not in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

pub(super) fn read(fields: &Fields, report: &mut Report) -> BTreeMap<String, SecretRef> {
    let mut secrets = BTreeMap::new();
    for (name, at, text) in fields.pairs("secrets", report) {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)) {
            let what = format!("the name `{}` of a secret is not of [A-Za-z0-9_.-]", clipped(name));
            report.add_with_fix(at, what, "rename it");
        }
        match parse(text) {
            Some(reference) => {
                secrets.insert(name.to_owned(), reference);
            }
            None => {
                // The text may be the secret: it is not shown.
                let variable: String = name
                    .chars()
                    .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
                    .collect();
                let fix = format!("put it into an environment variable and write \"env:{variable}\", or \"file:PATH\"");
                report.add_with_fix(at, format!("the secret `{}` is no reference", clipped(name)), fix);
            }
        }
    }
    secrets
}

impl SecretRef {
    /// As it is written in the config.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Env(name) => format!("env:{name}"),
            Self::File(path) => format!("file:{path}"),
        }
    }
}

pub(super) fn parse(text: &str) -> Option<SecretRef> {
    if let Some(name) = text.strip_prefix("env:") {
        return is_variable(name).then(|| SecretRef::Env(name.to_owned()));
    }
    let path = text.strip_prefix("file:")?;
    (!path.trim().is_empty() && !path.contains('\0')).then(|| SecretRef::File(path.to_owned()))
}
