//! How the fake shows what it holds: what matters here; the rest is filled in as the description demands.

use serde_json::{Value, json};

use crate::schema::MOMENT;
use crate::world::{Check, Comment, Issue, Person, Pull, Repo, Review, Thread, Workflow, made_up};

pub(crate) fn person(person: &Person) -> Value {
    let kind = if person.login.ends_with("[bot]") { "Bot" } else { "User" };
    json!({ "login": person.login, "type": kind, "id": number_of(&person.login), "node_id": format!("U_{}", person.login) })
}

/// An id that a name always has.
fn number_of(name: &str) -> u64 {
    name.bytes().fold(7, |sum, byte| (sum * 31 + u64::from(byte)) % 1_000_000)
}

pub(crate) fn repository(repo: &Repo) -> Value {
    let (owner, name) = repo.name.split_once('/').unwrap_or(("", &repo.name));
    json!({
        "id": repo.id, "name": name, "full_name": repo.name, "default_branch": repo.default_branch,
        "owner": { "login": owner, "type": "User", "id": number_of(owner) },
        "permissions": { "admin": false, "push": true, "pull": true },
        "allow_squash_merge": true, "allow_merge_commit": true, "allow_rebase_merge": false,
    })
}

pub(crate) fn issue(repo: &Repo, number: u64, issue: &Issue, base: &str) -> Value {
    let labels: Vec<Value> = issue
        .labels
        .iter()
        .map(|name| json!({ "id": number_of(name), "name": name, "color": "ededed", "default": false }))
        .collect();
    json!({
        "id": repo.id * 1000 + number, "number": number, "title": issue.title, "body": issue.body, "labels": labels,
        "state": if issue.open { "open" } else { "closed" }, "user": person(&issue.author),
        "author_association": issue.author.association, "created_at": MOMENT, "updated_at": MOMENT,
        "html_url": format!("{base}/{}/issues/{number}", repo.name),
    })
}

/// A pull request as it is listed among the issues.
pub(crate) fn pull_as_issue(repo: &Repo, number: u64, pull: &Pull, base: &str) -> Value {
    let listed = Issue {
        title: pull.title.clone(),
        body: pull.body.clone(),
        labels: Vec::new(),
        open: pull.open,
        author: Person::default(),
    };
    let mut shown = issue(repo, number, &listed, base);
    let url = format!("{base}/{}/pull/{number}", repo.name);
    shown["pull_request"] = json!({ "url": url, "html_url": url, "diff_url": url, "patch_url": url });
    shown
}

pub(crate) fn comment(repo: &Repo, comment: &Comment, base: &str) -> Value {
    json!({
        "id": comment.id, "body": comment.body, "user": person(&comment.author), "created_at": MOMENT,
        "author_association": comment.author.association,
        "html_url": format!("{base}/{}/issues/{}#issuecomment-{}", repo.name, comment.number, comment.id),
    })
}

/// `known`: whether it has been found out if it merges.
pub(crate) fn pull(repo: &Repo, number: u64, pull: &Pull, known: bool, base: &str) -> Value {
    let mut shown = pull_in_list(repo, number, pull, base);
    let clean = known && pull.open;
    let mergeable = if clean { json!(!repo.conflicts(pull)) } else { Value::Null };
    let obstacle = repo.obstacle(number);
    let word = match (&mergeable, obstacle.as_deref()) {
        (Value::Bool(false), _) => "dirty",
        (Value::Bool(true), None) => "clean",
        (Value::Bool(true), Some("Pull Request is still a draft")) => "draft",
        (Value::Bool(true), Some(_)) => "blocked",
        _ => "unknown",
    };
    shown["mergeable"] = mergeable;
    shown["mergeable_state"] = json!(word);
    shown["merged"] = json!(pull.merged.is_some());
    shown["merged_by"] = pull.merged.as_ref().map_or(Value::Null, |_| person(&Person::default()));
    shown
}

pub(crate) fn pull_in_list(repo: &Repo, number: u64, pull: &Pull, base: &str) -> Value {
    let owner = repo.name.split('/').next().unwrap_or_default();
    let end = |branch: &str, sha: &str| {
        json!({ "ref": branch, "sha": sha, "label": format!("{owner}:{branch}"), "repo": repository(repo),
                "user": { "login": owner } })
    };
    let tip = repo.branches.get(&pull.base).cloned().unwrap_or_default();
    let merged_at = pull.merged.as_ref().map_or(Value::Null, |_| json!(MOMENT));
    let closed_at = if pull.open { Value::Null } else { json!(MOMENT) };
    let later = if pull.later {
        json!({ "enabled_by": person(&Person::default()), "merge_method": "squash", "commit_title": "", "commit_message": "" })
    } else {
        Value::Null
    };
    json!({
        "id": repo.id * 2000 + number, "node_id": node(repo, number), "number": number, "title": pull.title,
        "body": pull.body, "draft": pull.draft, "state": if pull.open { "open" } else { "closed" },
        "head": end(&pull.branch, &pull.head), "base": end(&pull.base, &tip),
        "merge_commit_sha": pull.merged, "merged_at": merged_at, "closed_at": closed_at, "auto_merge": later,
        "user": person(&pull.author), "author_association": pull.author.association, "created_at": MOMENT,
        "updated_at": MOMENT, "html_url": format!("{base}/{}/pull/{number}", repo.name),
    })
}

/// The id of a pull request in GraphQL.
pub(crate) fn node(repo: &Repo, number: u64) -> String {
    format!("PR_{}_{number}", repo.id)
}

pub(crate) fn check(repo: &Repo, check: &Check, base: &str) -> Value {
    let run = repo.workflows.iter().find(|run| run.head == check.head).map_or(1, |run| run.id);
    let (slug, name) = if check.actions { ("github-actions", "GitHub Actions") } else { ("other-ci", "Other CI") };
    json!({
        "id": check.id, "node_id": format!("CR_{}", check.id), "head_sha": check.head, "name": check.name,
        "status": if check.conclusion.is_some() { "completed" } else { "in_progress" },
        "conclusion": check.conclusion, "started_at": MOMENT,
        "completed_at": check.conclusion.as_ref().map(|_| MOMENT),
        "output": { "title": check.conclusion.as_ref().map(|word| format!("{} ended: {word}", check.name)) },
        "app": { "id": 15368, "slug": slug, "name": name },
        "html_url": format!("{base}/{}/actions/runs/{run}/job/{}", repo.name, check.id), "check_suite": { "id": check.id + 1 },
    })
}

pub(crate) fn suite(repo: &Repo, index: usize, head: &str, program: &str, conclusion: Option<&str>) -> Value {
    json!({
        "id": 500_000 + index, "head_sha": head, "app": { "id": 7, "name": program, "slug": program },
        "status": if conclusion.is_some() { "completed" } else { "queued" }, "conclusion": conclusion,
        "latest_check_runs_count": 0, "repository": repository(repo), "head_branch": "branch",
        "before": made_up("before", 1), "after": head,
    })
}

pub(crate) fn status(context: &str, state: &str) -> Value {
    json!({ "context": context, "state": state, "description": format!("{context} says {state}") })
}

pub(crate) fn workflow(repo: &Repo, run: &Workflow) -> Value {
    json!({
        "id": run.id, "run_attempt": run.attempt, "head_sha": run.head, "head_branch": run.branch,
        "status": if run.conclusion.is_some() { "completed" } else { "in_progress" }, "conclusion": run.conclusion,
        "event": "pull_request", "repository": repository(repo), "head_repository": repository(repo),
    })
}

pub(crate) fn review(repo: &Repo, number: u64, review: &Review, base: &str) -> Value {
    json!({
        "id": review.id, "user": person(&review.author), "state": review.state, "body": review.body,
        "commit_id": review.head, "author_association": review.author.association, "submitted_at": MOMENT,
        "html_url": format!("{base}/{}/pull/{number}#pullrequestreview-{}", repo.name, review.id),
    })
}

pub(crate) fn review_comment(thread: &Thread, (id, author, body): &(u64, Person, String)) -> Value {
    json!({
        "id": id, "user": person(author), "body": body, "path": thread.path, "line": thread.line,
        "author_association": author.association, "diff_hunk": "@@ -1 +1 @@",
    })
}

/// A thread, whole, as GraphQL's fields are called.
pub(crate) fn thread(thread: &Thread, first: usize) -> Value {
    let comment = |(id, author, body): &(u64, Person, String)| {
        let (login, kind) = match author.login.strip_suffix("[bot]") {
            Some(login) => (login, "Bot"),
            None => (author.login.as_str(), "User"),
        };
        json!({
            "databaseId": id, "author": { "__typename": kind, "login": login }, "body": body, "createdAt": MOMENT,
            "authorAssociation": author.association, "url": format!("https://github.invalid/discussion_r{id}"),
        })
    };
    let all: Vec<Value> = thread.comments.iter().map(comment).collect();
    json!({
        "__typename": "PullRequestReviewThread", "id": format!("RT_{}", thread.id), "isResolved": thread.resolved,
        "isOutdated": false, "path": thread.path, "line": thread.line, "comments": connection(all, first, 0),
    })
}

/// A page of a GraphQL list.
pub(crate) fn connection(all: Vec<Value>, first: usize, after: usize) -> Value {
    let more = all.len() > after + first;
    let nodes: Vec<Value> = all.into_iter().skip(after).take(first).collect();
    let end = if nodes.is_empty() { Value::Null } else { json!((after + nodes.len()).to_string()) };
    json!({ "nodes": nodes, "pageInfo": { "hasNextPage": more, "endCursor": end, "hasPreviousPage": after > 0 } })
}
