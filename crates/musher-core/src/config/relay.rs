//! The `[relay]` and the `[hub]` of a layer.

use serde::{Deserialize, Serialize};

use super::reader::Fields;
use super::secret::{SecretRef, parse as parse_secret};
use super::sinks::{SinkConfig, SinkTo, problem_of_url};
use crate::problem::Report;
use crate::relay::NAME;
use crate::sink::SinkFrom;

/// Which hub is told of what happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RelayConfig {
    /// Where it is; none, or an empty one, is no hub.
    pub url: Option<String>,
    /// What opens it.
    pub token: Option<SecretRef>,
    /// What the project is called there; none is the name of its folder.
    pub project: Option<String>,
    /// Whether the token may go to another machine over plain HTTP.
    pub allow_http: Option<bool>,
}

/// Who may tell this hub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HubConfig {
    /// What opens it, any of them.
    pub tokens: Vec<SecretRef>,
}

/// Why a `[relay]` cannot be used, although each of its keys can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It has no token.
    #[error("the relay has a `url` and no `token`")]
    NoToken,
    /// Its token would go to another machine for everyone between to read.
    #[error("the relay's token would go over plain http:// to another machine")]
    Plain,
}

impl Unusable {
    /// How to mend it.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::NoToken => "write token = \"env:NAME\" or \"file:PATH\" into [relay] of musher.toml",
            Self::Plain => {
                "write the `url` with https://, or allow_http = true into [relay] when the network between is yours"
            }
        }
    }
}

impl RelayConfig {
    /// This one, with everything that `over` says in its place.
    pub(super) fn merge(self, over: Self) -> Self {
        Self {
            url: over.url.or(self.url),
            token: over.token.or(self.token),
            project: over.project.or(self.project),
            allow_http: over.allow_http.or(self.allow_http),
        }
    }

    /// The relay as a sink; nothing when no hub is to be told.
    ///
    /// # Errors
    /// A hub that cannot be told with what is configured.
    pub fn sink(&self) -> Result<Option<SinkConfig>, Unusable> {
        let Some(url) = self.url.as_deref().filter(|url| !url.is_empty()) else { return Ok(None) };
        let token = self.token.clone().ok_or(Unusable::NoToken)?;
        if self.allow_http != Some(true) && url.strip_prefix("http://").is_some_and(|rest| !is_here(rest)) {
            return Err(Unusable::Plain);
        }
        let project = self.project.clone().filter(|name| !name.trim().is_empty());
        let to = SinkTo::Relay { url: url.to_owned(), token, project };
        let (kinds, missions) = (Vec::new(), Vec::new());
        Ok(Some(SinkConfig { name: NAME.to_owned(), to, kinds, missions, from: SinkFrom::Start }))
    }
}

impl HubConfig {
    pub(super) fn merge(self, over: Self) -> Self {
        Self { tokens: if over.tokens.is_empty() { self.tokens } else { over.tokens } }
    }
}

/// Whether an address without its scheme is of this machine.
fn is_here(rest: &str) -> bool {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if let Some(bracketed) = authority.strip_prefix('[') {
        let host = bracketed.split(']').next().unwrap_or_default();
        return host.parse::<std::net::Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    let host = authority.split(':').next().unwrap_or_default();
    host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// Reads `[relay]`.
pub(super) fn read(fields: &Fields, report: &mut Report) -> RelayConfig {
    // Empty is no hub, also where the environment names one.
    let url = fields.any_text("url", report);
    let problem = url.filter(|url| !url.is_empty()).and_then(|url| {
        problem_of_url(url)
            .or_else(|| url.contains('?').then_some("the `url` has a part after `?`, which no hub takes"))
    });
    if let Some(problem) = problem {
        report.add_with_fix(fields.place("url"), problem, "write it as \"https://HOST\"");
    }
    let token = fields.text("token", report).and_then(|text| {
        let reference = parse_secret(text);
        if reference.is_none() {
            report.add_with_fix(fields.place("token"), "the relay's `token` is no reference", REFERENCE);
        }
        reference
    });
    let project = fields.any_text("project", report).map(str::to_owned);
    RelayConfig { url: url.map(str::to_owned), token, project, allow_http: fields.flag("allow_http", report) }
}

/// Reads `[hub]`.
pub(super) fn read_hub(fields: &Fields, report: &mut Report) -> HubConfig {
    let mut tokens = Vec::new();
    for (at, text) in fields.texts("tokens", report).unwrap_or_default() {
        match parse_secret(text) {
            Some(reference) => tokens.push(reference),
            // The text may be the token: it is not shown.
            None => report.add_with_fix(at, "one of the hub's `tokens` is no reference", REFERENCE),
        }
    }
    HubConfig { tokens }
}

/// How a secret is given.
const REFERENCE: &str =
    "put it into an environment variable and write \"env:NAME\", or into a file and write \"file:PATH\"";
