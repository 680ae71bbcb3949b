//! The `[forge]` of a layer.

use serde::{Deserialize, Serialize};

use super::reader::{Fields, clipped};
use super::secret::{SecretRef, parse as parse_secret};
use crate::forge::Reference;
use crate::plan::plain;
use crate::problem::Report;

/// Where issues and pull requests are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ForgeConfig {
    /// `owner/name`; none is what the remote `origin` names.
    pub repo: Option<String>,
    /// Where the API is; none is GitHub's.
    pub api: Option<String>,
    /// Where the token is to be found; none is `GITHUB_TOKEN`, `GH_TOKEN`, or what `gh auth token` says.
    pub token: Option<SecretRef>,
    /// Where the token of the account is to be found that posts what reviewing agents say; none posts no reviews.
    pub review_token: Option<SecretRef>,
    /// Where the secret is to be found that the forge signs webhooks with; none takes no webhooks.
    pub webhook: Option<SecretRef>,
    /// Whose words reach an agent, besides those of people who may write to the repository.
    pub trust: Vec<String>,
}

impl ForgeConfig {
    /// This one, with everything that `over` says in its place.
    pub(super) fn merge(self, over: Self) -> Self {
        Self {
            repo: over.repo.or(self.repo),
            api: over.api.or(self.api),
            token: over.token.or(self.token),
            review_token: over.review_token.or(self.review_token),
            webhook: over.webhook.or(self.webhook),
            trust: if over.trust.is_empty() { self.trust } else { over.trust },
        }
    }
}

/// Reads `[forge]`.
pub(super) fn read(fields: &Fields, report: &mut Report) -> ForgeConfig {
    let repo = fields.text("repo", report);
    if let Some(repo) = repo.filter(|repo| format!("{repo}#1").parse::<Reference>().is_err() || repo.is_empty()) {
        let what = format!("`{}` names no repository", clipped(repo));
        report.add_with_fix(fields.place("repo"), what, "write it as \"owner/name\"");
    }
    let api = fields.text("api", report);
    if let Some(api) = api.filter(|api| !api.starts_with("https://") && !api.starts_with("http://")) {
        let what = format!("`{}` is no address of an API", clipped(api));
        report.add_with_fix(fields.place("api"), what, "write it as \"https://HOST/api/v3\"");
    }
    let token = read_secret("token", fields, report);
    let review_token = read_secret("review_token", fields, report);
    let webhook = read_secret("webhook", fields, report);
    let trust = fields.texts("trust", report).unwrap_or_default();
    for (at, name) in &trust {
        let good = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.[]".contains(c));
        if !good {
            let what = format!("`{}` is no name of an account", clipped(name));
            report.add_with_fix(*at, what, "write it as the forge does, without the `@`");
        }
    }
    ForgeConfig {
        repo: repo.map(str::to_owned),
        api: api.map(str::to_owned),
        token,
        review_token,
        webhook,
        trust: plain(trust),
    }
}

fn read_secret(key: &str, fields: &Fields, report: &mut Report) -> Option<SecretRef> {
    let text = fields.text(key, report)?;
    let reference = parse_secret(text);
    if reference.is_none() {
        // The text may be the secret: it is not shown.
        let fix = "put it into an environment variable and write \"env:NAME\", or into a file and write \"file:PATH\"";
        report.add_with_fix(fields.place(key), format!("the forge's `{key}` is no reference"), fix);
    }
    reference
}
