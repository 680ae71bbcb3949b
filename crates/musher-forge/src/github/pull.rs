//! Pull requests: one for a branch.

use hyper::Method as Verb;
use serde::Deserialize;
use serde_json::json;

use super::{at, wire};
use crate::client::Client;
use crate::error::ForgeError;
use crate::forge::{NewPull, Pull, PullChange, PullState};
use crate::repository::{RepositoryName, encoded};

pub(super) async fn get(client: &Client, repo: &RepositoryName, number: u64) -> Result<Pull, ForgeError> {
    let what = format!("pull request #{number} of `{repo}`");
    let found: wire::Pull = client.get(&what, &at(repo, &format!("/pulls/{number}"))).await?;
    if found.number != number {
        return Err(ForgeError::strange(format!("asked for #{number}, it tells of #{}", found.number)));
    }
    Ok(found.into())
}

pub(super) async fn of_branch(
    client: &Client,
    repo: &RepositoryName,
    branch: &str,
) -> Result<Option<Pull>, ForgeError> {
    // The owner is part of it: a fork may have a branch of the same name.
    let head = encoded(&format!("{}:{branch}", repo.owner()));
    let path = at(repo, &format!("/pulls?state=all&sort=created&direction=desc&head={head}"));
    let what = format!("list of pull requests of `{repo}`");
    let found: Vec<Pull> =
        client.list(&what, &path, |page: Vec<wire::Pull>| page.into_iter().map(Into::into).collect()).await?;
    // A forge that does not know the filter answers with all of them.
    let mut ours: Vec<Pull> = found.into_iter().filter(|pull| pull.own && pull.branch == branch).collect();
    ours.sort_by_key(|pull| (pull.state != PullState::Open, std::cmp::Reverse(pull.number)));
    Ok(ours.into_iter().next())
}

pub(super) async fn open(client: &Client, repo: &RepositoryName, new: &NewPull) -> Result<Pull, ForgeError> {
    let body = json!({
        "title": new.title,
        "body": new.body,
        "head": new.branch,
        "base": new.base,
        "draft": new.draft,
    });
    let what = format!("pull request from `{}` to `{}`", new.branch, new.base);
    let opened: wire::Pull = client.send(Verb::POST, &what, &at(repo, "/pulls"), &body).await?;
    Ok(opened.into())
}

pub(super) async fn change(
    client: &Client,
    repo: &RepositoryName,
    number: u64,
    change: &PullChange,
) -> Result<Pull, ForgeError> {
    let mut body = serde_json::Map::new();
    if let Some(title) = &change.title {
        body.insert("title".to_owned(), json!(title));
    }
    if let Some(text) = &change.body {
        body.insert("body".to_owned(), json!(text));
    }
    if let Some(open) = change.open {
        body.insert("state".to_owned(), json!(if open { "open" } else { "closed" }));
    }
    let what = format!("pull request #{number} of `{repo}`");
    let changed: wire::Pull = client.send(Verb::PATCH, &what, &at(repo, &format!("/pulls/{number}")), &body).await?;
    Ok(changed.into())
}

pub(super) async fn mark_ready(client: &Client, pull: &Pull) -> Result<(), ForgeError> {
    if !pull.draft {
        return Ok(());
    }
    #[derive(Deserialize)]
    struct Marked {
        #[serde(rename = "markPullRequestReadyForReview")]
        _done: Option<serde::de::IgnoredAny>,
    }
    let what = format!("pull request #{}", pull.number);
    client.graphql::<Marked>(&what, READY, json!({ "pull": pull.node })).await.map(drop)
}

const READY: &str = "mutation($pull: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $pull}) \
                     { pullRequest { isDraft } } }";
