//! Reviews of pull requests: read, and written.

use hyper::Method as Verb;
use serde::Deserialize;
use serde_json::json;

use super::{at, wire};
use crate::client::Client;
use crate::error::ForgeError;
use crate::forge::{NewReview, Review, Verdict};
use crate::repository::RepositoryName;

#[derive(Deserialize)]
struct Wire {
    id: u64,
    #[serde(default)]
    user: Option<wire::User>,
    #[serde(default)]
    author_association: Option<String>,
    state: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    commit_id: Option<String>,
    #[serde(default)]
    html_url: String,
}

impl From<Wire> for Review {
    fn from(it: Wire) -> Self {
        Self {
            id: it.id,
            author: wire::author(it.user, it.author_association),
            verdict: verdict(it.state),
            body: it.body.unwrap_or_default(),
            commit: it.commit_id.unwrap_or_default(),
            url: it.html_url,
        }
    }
}

pub(super) async fn list(client: &Client, repo: &RepositoryName, number: u64) -> Result<Vec<Review>, ForgeError> {
    let path = at(repo, &format!("/pulls/{number}/reviews"));
    client.list("list of reviews", &path, |page: Vec<Wire>| page.into_iter().map(Into::into).collect()).await
}

pub(super) async fn write(
    client: &Client,
    repo: &RepositoryName,
    number: u64,
    new: &NewReview,
) -> Result<Review, ForgeError> {
    let event = match new.verdict {
        Verdict::Approved => "APPROVE",
        Verdict::ChangesRequested => "REQUEST_CHANGES",
        Verdict::Commented | Verdict::Dismissed | Verdict::Pending | Verdict::Unknown(_) => "COMMENT",
    };
    let mut body = json!({ "event": event, "body": new.body });
    if let Some(commit) = &new.commit {
        body["commit_id"] = json!(commit);
    }
    let what = format!("review of #{number} of `{repo}`");
    let written: Wire = client.send(Verb::POST, &what, &at(repo, &format!("/pulls/{number}/reviews")), &body).await?;
    Ok(written.into())
}

fn verdict(state: String) -> Verdict {
    match state.as_str() {
        "APPROVED" => Verdict::Approved,
        "CHANGES_REQUESTED" => Verdict::ChangesRequested,
        "COMMENTED" => Verdict::Commented,
        "DISMISSED" => Verdict::Dismissed,
        "PENDING" => Verdict::Pending,
        _ => Verdict::Unknown(state),
    }
}
