//! Issues, what is said at them, and what those who say it may do.

use hyper::Method as Verb;
use serde::Deserialize;

use super::{at, wire};
use crate::client::Client;
use crate::error::ForgeError;
use crate::forge::{Comment, Issue, Permission};
use crate::repository::{RepositoryName, encoded};

pub(super) async fn issue(client: &Client, repo: &RepositoryName, number: u64) -> Result<Issue, ForgeError> {
    let what = format!("issue #{number} of `{repo}`");
    let found: wire::Issue = client.get(&what, &at(repo, &format!("/issues/{number}"))).await?;
    Ok(found.into())
}

pub(super) async fn comments(client: &Client, repo: &RepositoryName, number: u64) -> Result<Vec<Comment>, ForgeError> {
    let what = format!("list of comments of #{number} of `{repo}`");
    let path = at(repo, &format!("/issues/{number}/comments"));
    client.list(&what, &path, |page: Vec<wire::Comment>| page.into_iter().map(Into::into).collect()).await
}

pub(super) async fn write(client: &Client, what: String, path: String, body: &str) -> Result<Comment, ForgeError> {
    let written: wire::Comment = client.send(Verb::POST, &what, &path, &serde_json::json!({ "body": body })).await?;
    Ok(written.into())
}

/// A second pair of eyes of the same account is the first one: the forge answers with that.
pub(super) async fn react(client: &Client, repo: &RepositoryName, comment: u64) -> Result<(), ForgeError> {
    let path = at(repo, &format!("/issues/comments/{comment}/reactions"));
    let what = format!("comment {comment} of `{repo}`");
    let eyes = serde_json::json!({ "content": "eyes" });
    client.send::<serde::de::IgnoredAny>(Verb::POST, &what, &path, &eyes).await.map(drop)
}

pub(super) async fn permission(client: &Client, repo: &RepositoryName, user: &str) -> Result<Permission, ForgeError> {
    #[derive(Deserialize)]
    struct Found {
        permission: String,
    }
    let path = at(repo, &format!("/collaborators/{}/permission", encoded(user)));
    match client.get::<Found>(&format!("permission of `{user}`"), &path).await {
        Ok(found) => Ok(match found.permission.as_str() {
            "admin" => Permission::Admin,
            // `maintain` is told as `write`, `triage` as `read`.
            "write" => Permission::Write,
            "read" => Permission::Read,
            _ => Permission::None,
        }),
        Err(ForgeError::Missing { .. }) => Ok(Permission::None),
        Err(error) => Err(error),
    }
}
