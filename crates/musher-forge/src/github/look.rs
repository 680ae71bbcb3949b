//! One look at a pull request: all that its watches need, of one head.

use serde::Deserialize;
use serde_json::json;

use super::{at, check, merge, pull, review, talk};
use crate::client::Client;
use crate::error::ForgeError;
use crate::forge::{Author, Comment, Look, PullState, Thread};
use crate::repository::RepositoryName;

/// Reads the pull request first: what else is read belongs to the head that it has then. One that is merged or closed is
/// watched no more, and nothing else is read.
pub(super) async fn look(client: &Client, repo: &RepositoryName, number: u64) -> Result<Look, ForgeError> {
    let pull = pull::get(client, repo, number).await?;
    if pull.state != PullState::Open {
        let (checks, reviews, threads, comments) = Default::default();
        return Ok(Look { pull, queued: false, checks, reviews, threads, comments });
    }
    let checks = check::of(client, repo, &pull.head).await?;
    let reviews = review::list(client, repo, number).await?;
    // Whether there is a thread is seen by a request that costs nothing when nothing changed.
    let threads =
        if has_threads(client, repo, number).await? { threads(client, repo, number).await? } else { Vec::new() };
    let comments = talk::comments(client, repo, number).await?;
    let queued = merge::is_queued(client, repo, &pull).await?;
    Ok(Look { pull, queued, checks, reviews, threads, comments })
}

async fn has_threads(client: &Client, repo: &RepositoryName, number: u64) -> Result<bool, ForgeError> {
    let path = at(repo, &format!("/pulls/{number}/comments?per_page=1"));
    let first: Vec<serde::de::IgnoredAny> = client.get("list of review comments", &path).await?;
    Ok(!first.is_empty())
}

async fn threads(client: &Client, repo: &RepositoryName, number: u64) -> Result<Vec<Thread>, ForgeError> {
    let (mut all, mut after) = (Vec::new(), None::<String>);
    for _ in 0..MOST_PAGES {
        let variables = json!({ "owner": repo.owner(), "name": repo.name(), "number": number, "after": after });
        let data: Data = client.graphql("threads of the pull request", THREADS, variables).await?;
        let pull = data.repository.and_then(|repository| repository.pull_request);
        let page = pull.ok_or_else(|| ForgeError::strange("it has no such pull request"))?.review_threads;
        for node in page.nodes.into_iter().flatten() {
            all.push(thread(client, node).await?);
        }
        match (page.page_info.has_next_page, page.page_info.end_cursor) {
            (true, Some(cursor)) if after.as_ref() != Some(&cursor) => after = Some(cursor),
            (true, _) => return Err(ForgeError::strange("its pages lead nowhere")),
            (false, _) => return Ok(all),
        }
    }
    Err(ForgeError::strange(format!("the list of threads has more than {MOST_PAGES} pages")))
}

async fn thread(client: &Client, node: ThreadNode) -> Result<Thread, ForgeError> {
    let mut comments: Vec<Comment> = node.comments.nodes.into_iter().flatten().map(Into::into).collect();
    let mut info = node.comments.page_info;
    for _ in 0..MOST_PAGES {
        if !info.has_next_page {
            break;
        }
        let variables = json!({ "thread": node.id, "after": info.end_cursor });
        let data: MoreComments = client.graphql("thread of the pull request", COMMENTS, variables).await?;
        let page =
            data.node.and_then(|node| node.comments).ok_or_else(|| ForgeError::strange("it has no such thread"))?;
        comments.extend(page.nodes.into_iter().flatten().map(Comment::from));
        info = page.page_info;
    }
    Ok(Thread {
        id: node.id,
        resolved: node.is_resolved,
        outdated: node.is_outdated,
        path: node.path,
        line: node.line,
        comments,
    })
}

#[derive(Deserialize)]
struct Data {
    repository: Option<RepositoryData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RepositoryData {
    pull_request: Option<PullData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullData {
    review_threads: Page<ThreadNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<T> {
    #[serde(default = "Vec::new")]
    nodes: Vec<Option<T>>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThreadNode {
    id: String,
    is_resolved: bool,
    is_outdated: bool,
    path: String,
    line: Option<u64>,
    comments: Page<CommentNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommentNode {
    database_id: Option<u64>,
    author: Option<ActorNode>,
    author_association: Option<String>,
    body: String,
    created_at: String,
    url: String,
}

#[derive(Deserialize)]
struct ActorNode {
    login: String,
    #[serde(rename = "__typename")]
    kind: String,
}

#[derive(Deserialize)]
struct MoreComments {
    node: Option<MoreNode>,
}

#[derive(Deserialize)]
struct MoreNode {
    comments: Option<Page<CommentNode>>,
}

impl From<CommentNode> for Comment {
    fn from(node: CommentNode) -> Self {
        let (login, bot) = node.author.map_or_else(
            || (String::new(), false),
            |author| {
                let bot = author.kind == "Bot";
                // REST writes the brackets and GraphQL does not; one name for one program.
                (if bot { format!("{}[bot]", author.login.trim_end_matches("[bot]")) } else { author.login }, bot)
            },
        );
        Self {
            id: node.database_id.unwrap_or_default(),
            author: Author { login, bot, association: node.author_association.unwrap_or_default() },
            body: node.body,
            at: node.created_at,
            url: node.url,
        }
    }
}

const THREADS: &str = "query($owner: String!, $name: String!, $number: Int!, $after: String) { \
    repository(owner: $owner, name: $name) { pullRequest(number: $number) { \
    reviewThreads(first: 50, after: $after) { pageInfo { hasNextPage endCursor } nodes { \
    id isResolved isOutdated path line comments(first: 20) { pageInfo { hasNextPage endCursor } nodes { \
    databaseId author { __typename login } authorAssociation body createdAt url } } } } } } }";

const COMMENTS: &str = "query($thread: ID!, $after: String) { node(id: $thread) { \
    ... on PullRequestReviewThread { comments(first: 100, after: $after) { pageInfo { hasNextPage endCursor } nodes { \
    databaseId author { __typename login } authorAssociation body createdAt url } } } } }";

/// The most pages of a list.
const MOST_PAGES: usize = 100;
