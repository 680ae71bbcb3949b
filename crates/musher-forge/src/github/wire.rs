//! What GitHub writes, as far as it is read. What may be absent or null is so here; nothing of it is trusted further.

use serde::Deserialize;

use crate::forge::{self, Author, Method, PullState};

#[derive(Deserialize)]
pub(super) struct Repository {
    full_name: String,
    default_branch: String,
    #[serde(default)]
    permissions: Option<Permissions>,
    // Absent for who may not push.
    #[serde(default = "yes")]
    allow_squash_merge: bool,
    #[serde(default = "yes")]
    allow_merge_commit: bool,
    #[serde(default = "yes")]
    allow_rebase_merge: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Permissions {
    #[serde(default)]
    push: bool,
}

impl From<Repository> for forge::Repository {
    fn from(it: Repository) -> Self {
        let methods = [
            (Method::Squash, it.allow_squash_merge),
            (Method::Merge, it.allow_merge_commit),
            (Method::Rebase, it.allow_rebase_merge),
        ];
        Self {
            name: it.full_name,
            default_branch: it.default_branch,
            may_push: it.permissions.is_some_and(|p| p.push),
            methods: methods.into_iter().filter(|(_, allowed)| *allowed).map(|(method, _)| method).collect(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) login: String,
    #[serde(rename = "type", default)]
    kind: String,
}

/// An account that was deleted is null.
pub(super) fn author(user: Option<User>, association: Option<String>) -> Author {
    let (login, bot) = user.map_or_else(
        || (String::new(), false),
        |user| {
            let bot = user.kind == "Bot" || user.login.ends_with("[bot]");
            (user.login, bot)
        },
    );
    Author { login, bot, association: association.unwrap_or_default() }
}

#[derive(Deserialize)]
pub(super) struct Issue {
    number: u64,
    title: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    labels: Vec<Label>,
    state: String,
    #[serde(default)]
    pull_request: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    user: Option<User>,
    #[serde(default)]
    author_association: Option<String>,
    #[serde(default)]
    html_url: String,
}

/// A label is its name, or a thing that has one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Label {
    Name(String),
    Thing {
        #[serde(default)]
        name: Option<String>,
    },
}

impl From<Issue> for forge::Issue {
    fn from(it: Issue) -> Self {
        let name = |label| match label {
            Label::Name(name) => Some(name),
            Label::Thing { name } => name,
        };
        Self {
            number: it.number,
            title: it.title,
            body: it.body.unwrap_or_default(),
            labels: it.labels.into_iter().filter_map(name).collect(),
            open: it.state == "open",
            is_pull: it.pull_request.is_some(),
            author: author(it.user, it.author_association),
            url: it.html_url,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Comment {
    id: u64,
    #[serde(default)]
    user: Option<User>,
    #[serde(default)]
    author_association: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    created_at: String,
    #[serde(default)]
    html_url: String,
}

impl From<Comment> for forge::Comment {
    fn from(it: Comment) -> Self {
        Self {
            id: it.id,
            author: author(it.user, it.author_association),
            body: it.body.unwrap_or_default(),
            at: it.created_at,
            url: it.html_url,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Pull {
    pub(super) number: u64,
    node_id: String,
    title: String,
    #[serde(default)]
    body: Option<String>,
    state: String,
    #[serde(default)]
    merged_at: Option<String>,
    #[serde(default)]
    merge_commit_sha: Option<String>,
    #[serde(default)]
    draft: bool,
    head: End,
    base: End,
    #[serde(default)]
    mergeable: Option<bool>,
    #[serde(default)]
    mergeable_state: Option<String>,
    #[serde(default)]
    auto_merge: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    user: Option<User>,
    #[serde(default)]
    author_association: Option<String>,
    #[serde(default)]
    html_url: String,
}

#[derive(Deserialize)]
struct End {
    #[serde(rename = "ref")]
    branch: String,
    sha: String,
    /// Null when the fork was deleted.
    #[serde(default)]
    repo: Option<Of>,
}

#[derive(Deserialize)]
struct Of {
    id: u64,
}

impl From<Pull> for forge::Pull {
    fn from(it: Pull) -> Self {
        let own = match (&it.head.repo, &it.base.repo) {
            (Some(head), Some(base)) => head.id == base.id,
            _ => false,
        };
        let state = match (&*it.state, it.merged_at) {
            (_, Some(_)) => PullState::Merged(it.merge_commit_sha.unwrap_or_default()),
            ("open", None) => PullState::Open,
            _ => PullState::Closed,
        };
        Self {
            number: it.number,
            node: it.node_id,
            title: it.title,
            body: it.body.unwrap_or_default(),
            state,
            draft: it.draft,
            branch: it.head.branch,
            own,
            head: it.head.sha,
            base: it.base.branch,
            mergeable: it.mergeable,
            merge_state: it.mergeable_state.unwrap_or_default(),
            auto_merge: it.auto_merge.is_some(),
            author: author(it.user, it.author_association),
            url: it.html_url,
        }
    }
}
