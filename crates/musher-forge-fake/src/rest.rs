//! The routes of REST that the fake knows.

use serde_json::{Value, json};

use crate::schema::MOMENT;
use crate::show;
use crate::world::{Comment, Person, Pull, Push, Repo, World};

/// An answer, before it is filled in.
pub(crate) enum Out {
    One(u16, Value),
    /// Paged by the server; with `key`, the entries are in an object that counts them.
    List {
        key: Option<&'static str>,
        entries: Vec<Value>,
        around: Value,
    },
    Redirect(u16, String),
    /// A text of the host that keeps logs.
    Text(String),
}

/// A request that was found to be within the description.
pub(crate) struct In<'a> {
    pub(crate) method: &'a str,
    pub(crate) parts: &'a [String],
    pub(crate) query: &'a [(String, String)],
    pub(crate) body: &'a Value,
    /// The address of the API, for links.
    pub(crate) base: &'a str,
}

impl In<'_> {
    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn text(&self, key: &str) -> Option<String> {
        self.body.get(key).and_then(Value::as_str).map(str::to_owned)
    }
}

/// A refusal in GitHub's form.
pub(crate) fn refusal(status: u16, message: &str) -> Out {
    Out::One(status, json!({ "message": message, "documentation_url": "https://docs.github.com/rest" }))
}

pub(crate) fn answer(world: &mut World, request: &In) -> Out {
    let parts: Vec<&str> = request.parts.iter().map(String::as_str).collect();
    let ["repos", owner, name, rest @ ..] = parts.as_slice() else { return refusal(404, "Not Found") };
    let full = format!("{owner}/{name}");
    if let Some(renamed) = world.repositories.values().find(|repo| repo.renamed_from.as_deref() == Some(&full)) {
        let path = format!("{}/repos/{}/{}", request.base, renamed.name, rest.join("/"));
        return Out::Redirect(301, path.trim_end_matches('/').to_owned());
    }
    if !world.repositories.contains_key(&full) {
        return refusal(404, "Not Found");
    }
    world.settle(&full);
    match (request.method, rest) {
        ("get", _) => read(world, &full, rest, request),
        _ => write(world, &full, rest, request),
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

fn read(world: &mut World, full: &str, rest: &[&str], request: &In) -> Out {
    if let ["pulls", n] = rest {
        return read_pull(world, full, number(n), request.base);
    }
    let base = request.base;
    let repo = &*world.repository(full);
    match rest {
        [] => Out::One(200, show::repository(repo)),
        ["issues"] => list(issues(repo, request)),
        ["issues", n] => match (repo.issues.get(&number(n)), repo.pulls.get(&number(n))) {
            (Some(issue), _) => Out::One(200, show::issue(repo, number(n), issue, base)),
            (None, Some(pull)) => Out::One(200, show::pull_as_issue(repo, number(n), pull, base)),
            (None, None) => refusal(404, "Not Found"),
        },
        ["issues", n, "comments"] => {
            let said = repo.comments.iter().filter(|comment| comment.number == number(n));
            list(said.map(|comment| show::comment(repo, comment, base)).collect())
        }
        ["pulls"] => list(pulls(repo, request)),
        ["pulls", n, "reviews"] => match repo.pulls.get(&number(n)) {
            Some(pull) => list(pull.reviews.iter().map(|review| show::review(repo, number(n), review, base)).collect()),
            None => refusal(404, "Not Found"),
        },
        ["pulls", n, "comments"] => match repo.pulls.get(&number(n)) {
            Some(pull) => {
                let comments = |thread| -> Vec<Value> {
                    let thread: &crate::world::Thread = thread;
                    thread.comments.iter().map(|comment| show::review_comment(thread, comment)).collect()
                };
                list(pull.threads.iter().flat_map(comments).collect())
            }
            None => refusal(404, "Not Found"),
        },
        ["commits", head, kind] => of_commit(repo, head, kind, base),
        ["actions", "runs"] => {
            let head = request.query("head_sha");
            let runs = repo.workflows.iter().filter(|run| head.is_none_or(|head| run.head == head));
            counted("workflow_runs", runs.map(|run| show::workflow(repo, run)).collect())
        }
        ["actions", "jobs", id, "logs"] => {
            if repo.logs.contains_key(&number(id)) {
                let path = request.base.split("/api/").next().unwrap_or_default();
                Out::Redirect(302, format!("{path}/_logs/{full}/{id}?sig=a%2Fb"))
            } else {
                refusal(404, "Not Found")
            }
        }
        ["rules", "branches", _] => list(rules(repo)),
        ["branches", branch] => match repo.branches.get(*branch) {
            Some(tip) => Out::One(
                200,
                json!({
                    "name": branch, "commit": { "sha": tip }, "protected": !repo.required.is_empty(),
                    "protection": { "enabled": false, "required_status_checks": { "contexts": [], "checks": [] } },
                }),
            ),
            None => refusal(404, "Branch not found"),
        },
        ["collaborators", user, "permission"] => {
            let permission = repo.people.get(*user).cloned().unwrap_or_else(|| "none".to_owned());
            let person = Person { login: (*user).to_owned(), association: "NONE" };
            Out::One(200, json!({ "permission": permission, "role_name": permission, "user": show::person(&person) }))
        }
        _ => refusal(404, "Not Found"),
    }
}

fn list(entries: Vec<Value>) -> Out {
    Out::List { key: None, entries, around: json!({}) }
}

fn counted(key: &'static str, entries: Vec<Value>) -> Out {
    Out::List { key: Some(key), around: json!({ "total_count": entries.len() }), entries }
}

/// Whether it merges is found out after the first who asks has been told that it is not known.
fn read_pull(world: &mut World, full: &str, n: u64, base: &str) -> Out {
    let repo = world.repository(full);
    let Some(pull) = repo.pulls.get(&n).cloned() else { return refusal(404, "Not Found") };
    let now = (pull.head.clone(), repo.branches.get(&pull.base).cloned().unwrap_or_default());
    let known = pull.computed.as_ref() == Some(&now);
    if let Some(pull) = repo.pulls.get_mut(&n) {
        pull.computed = Some(now);
    }
    Out::One(200, show::pull(repo, n, &pull, known, base))
}

fn issues(repo: &Repo, request: &In) -> Vec<Value> {
    let wanted: Vec<&str> = request.query("labels").map(|labels| labels.split(',').collect()).unwrap_or_default();
    let state = request.query("state").unwrap_or("open");
    let fits = |labels: &[String], open: bool| {
        (state == "all" || open == (state == "open")) && wanted.iter().all(|name| labels.iter().any(|l| l == name))
    };
    let issues = repo.issues.iter().filter(|(_, issue)| fits(&issue.labels, issue.open));
    let issues = issues.map(|(n, issue)| (*n, show::issue(repo, *n, issue, request.base)));
    let pulls = repo.pulls.iter().filter(|(_, pull)| fits(&[], pull.open));
    let pulls = pulls.map(|(n, pull)| (*n, show::pull_as_issue(repo, *n, pull, request.base)));
    let mut all: Vec<(u64, Value)> = issues.chain(pulls).collect();
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, value)| value).collect()
}

fn pulls(repo: &Repo, request: &In) -> Vec<Value> {
    let owner = repo.name.split('/').next().unwrap_or_default();
    let state = request.query("state").unwrap_or("open");
    let fits = |pull: &Pull| {
        (state == "all" || pull.open == (state == "open"))
            && request.query("head").is_none_or(|head| head == format!("{owner}:{}", pull.branch))
            && request.query("base").is_none_or(|base| base == pull.base)
    };
    let found = repo.pulls.iter().rev().filter(|(_, pull)| fits(pull));
    found.map(|(n, pull)| show::pull_in_list(repo, *n, pull, request.base)).collect()
}

fn of_commit(repo: &Repo, head: &str, kind: &str, base: &str) -> Out {
    match kind {
        "check-runs" => counted(
            "check_runs",
            repo.checks.iter().filter(|c| c.head == head).map(|c| show::check(repo, c, base)).collect(),
        ),
        "check-suites" => {
            let suites = repo.suites.iter().enumerate().filter(|(_, (of, ..))| of == head);
            let shown = suites.map(|(at, (of, program, end))| show::suite(repo, at, of, program, end.as_deref()));
            counted("check_suites", shown.collect())
        }
        "status" => {
            let statuses: Vec<Value> =
                repo.statuses.iter().filter(|(of, ..)| of == head).map(|(_, c, s)| show::status(c, s)).collect();
            let around = json!({
                "state": "pending", "sha": head, "total_count": statuses.len(), "repository": show::repository(repo),
            });
            Out::List { key: Some("statuses"), entries: statuses, around }
        }
        _ => refusal(404, "Not Found"),
    }
}

fn rules(repo: &Repo) -> Vec<Value> {
    let mut rules = Vec::new();
    let from = json!({ "ruleset_source_type": "Repository", "ruleset_source": repo.name, "ruleset_id": 1 });
    let mut add = |kind: &str, parameters: Value| {
        let mut rule = from.clone();
        rule["type"] = json!(kind);
        rule["parameters"] = parameters;
        rules.push(rule);
    };
    if !repo.required.is_empty() {
        let checks: Vec<Value> = repo.required.iter().map(|name| json!({ "context": name })).collect();
        add(
            "required_status_checks",
            json!({
            "required_status_checks": checks, "strict_required_status_checks_policy": false }),
        );
    }
    if repo.approvals > 0 {
        add(
            "pull_request",
            json!({
            "required_approving_review_count": repo.approvals, "dismiss_stale_reviews_on_push": false,
            "require_code_owner_review": false, "require_last_push_approval": false,
            "required_review_thread_resolution": false, "allowed_merge_methods": ["squash", "merge"] }),
        );
    }
    if repo.merge_queue {
        add(
            "merge_queue",
            json!({
            "check_response_timeout_minutes": 60, "grouping_strategy": "ALLGREEN", "max_entries_to_build": 5,
            "max_entries_to_merge": 5, "merge_method": "SQUASH", "min_entries_to_merge": 1,
            "min_entries_to_merge_wait_minutes": 5 }),
        );
    }
    rules
}

fn write(world: &mut World, full: &str, rest: &[&str], request: &In) -> Out {
    let me = world.asking().clone();
    match (request.method, rest) {
        ("post", ["issues", n, "comments"]) => {
            let (n, body) = (number(n), request.text("body").unwrap_or_default());
            let repo = world.repository(full);
            if !repo.issues.contains_key(&n) && !repo.pulls.contains_key(&n) {
                return refusal(404, "Not Found");
            }
            let id = world.add_comment(full, n, me, &body);
            shown_comment(world.repository(full), id, 201, request.base)
        }
        ("patch", ["issues", "comments", id]) => {
            let repo = world.repository(full);
            if let Some(comment) = repo.comments.iter_mut().find(|comment| comment.id == number(id)) {
                comment.body = request.text("body").unwrap_or_default();
            }
            shown_comment(repo, number(id), 200, request.base)
        }
        ("post", ["issues", "comments", id, "reactions"]) => {
            let repo = world.repository(full);
            if !repo.comments.iter().any(|comment| comment.id == number(id)) {
                return refusal(404, "Not Found");
            }
            let reaction = (number(id), request.text("content").unwrap_or_default());
            let shown =
                json!({ "id": reaction.0, "content": reaction.1, "user": show::person(&me), "created_at": MOMENT });
            let there = repo.reactions.contains(&reaction);
            if !there {
                repo.reactions.push(reaction);
            }
            Out::One(if there { 200 } else { 201 }, shown)
        }
        ("post", ["pulls"]) => open_pull(world, full, request),
        ("post", ["pulls", n, "reviews"]) => review(world, full, number(n), request),
        ("patch", ["pulls", n]) => {
            let repo = world.repository(full);
            let Some(pull) = repo.pulls.get_mut(&number(n)) else { return refusal(404, "Not Found") };
            if let Some(title) = request.text("title") {
                pull.title = title;
            }
            if let Some(body) = request.text("body") {
                pull.body = body;
            }
            match (request.text("state").as_deref(), &pull.merged) {
                (Some("open"), None) => pull.open = true,
                (Some("closed"), None) => pull.open = false,
                _ => {}
            }
            read_pull(world, full, number(n), request.base)
        }
        ("put", ["pulls", n, "merge"]) => merge(world, full, number(n), request),
        ("post", ["actions", "runs", id, "rerun-failed-jobs"]) => rerun(world, full, number(id)),
        _ => refusal(404, "Not Found"),
    }
}

fn shown_comment(repo: &Repo, id: u64, status: u16, base: &str) -> Out {
    match repo.comments.iter().find(|comment: &&Comment| comment.id == id) {
        Some(comment) => Out::One(status, show::comment(repo, comment, base)),
        None => refusal(404, "Not Found"),
    }
}

fn invalid(message: &str) -> Out {
    let error = json!({ "resource": "PullRequest", "code": "custom", "message": message });
    Out::One(
        422,
        json!({
        "message": "Validation Failed", "errors": [error], "documentation_url": "https://docs.github.com/rest" }),
    )
}

fn open_pull(world: &mut World, full: &str, request: &In) -> Out {
    let [title, body, head, base] = ["title", "body", "head", "base"].map(|key| request.text(key).unwrap_or_default());
    let author = world.asking().clone();
    let repo = world.repository(full);
    let branch = head.rsplit(':').next().unwrap_or_default().to_owned();
    let (Some(tip), Some(onto)) = (repo.branches.get(&branch), repo.branches.get(&base)) else {
        return invalid("head or base is no branch");
    };
    if tip == onto {
        return invalid(&format!("No commits between {base} and {branch}"));
    }
    if repo.pulls.values().any(|pull| pull.open && pull.branch == branch && pull.base == base) {
        return invalid(&format!(
            "A pull request already exists for {}:{branch}.",
            full.split('/').next().unwrap_or("")
        ));
    }
    let n = repo.next_number();
    let pull = Pull {
        title,
        body,
        draft: request.body.get("draft") == Some(&Value::Bool(true)),
        branch,
        base,
        head: String::new(),
        open: true,
        merged: None,
        reviews: Vec::new(),
        threads: Vec::new(),
        conflicts: false,
        computed: None,
        author,
        heads: Vec::new(),
        later: false,
        queued: false,
        pushes: 0,
    };
    repo.pulls.insert(n, pull);
    world.emit(full, "pull_request", "opened", json!({ "number": n, "pull_request": { "number": n } }));
    world.settle(full);
    match read_pull(world, full, n, request.base) {
        Out::One(_, shown) => Out::One(201, shown),
        other => other,
    }
}

/// GitHub takes neither a yes nor a no from the one who has opened the pull request, and nothing of a commit that is not of it.
fn review(world: &mut World, full: &str, n: u64, request: &In) -> Out {
    let (me, text) = (world.asking().clone(), request.text("body").unwrap_or_default());
    let Some(pull) = world.repository(full).pulls.get(&n) else { return refusal(404, "Not Found") };
    let unprocessable = |why: &str| Out::One(422, json!({ "message": "Unprocessable Entity", "errors": [why] }));
    let head = request.text("commit_id").unwrap_or_else(|| pull.head.clone());
    let is_own = me.login == pull.author.login;
    let state = match request.text("event").as_deref() {
        Some("APPROVE") if is_own => return unprocessable("Review Can not approve your own pull request"),
        Some("REQUEST_CHANGES") if is_own => {
            return unprocessable("Review Can not request changes on your own pull request");
        }
        Some("REQUEST_CHANGES" | "COMMENT") if text.is_empty() => return unprocessable("Body can't be blank"),
        Some("APPROVE") => "APPROVED",
        Some("REQUEST_CHANGES") => "CHANGES_REQUESTED",
        Some("COMMENT") => "COMMENTED",
        _ => return unprocessable("the fake takes no review that is not sent at once"),
    };
    if !pull.heads.contains(&head) {
        return unprocessable("Commit is not part of the pull request");
    }
    world.add_review_of(full, n, (me, head), state, &text);
    let repo = &*world.repository(full);
    match repo.pulls.get(&n).and_then(|pull| pull.reviews.last()) {
        Some(review) => Out::One(200, show::review(repo, n, review, request.base)),
        None => refusal(404, "Not Found"),
    }
}

fn merge(world: &mut World, full: &str, n: u64, request: &In) -> Out {
    let repo = world.repository(full);
    let Some(pull) = repo.pulls.get(&n) else { return refusal(404, "Not Found") };
    if request.text("sha").is_some_and(|sha| sha != pull.head) {
        return refusal(409, "Head branch was modified. Review and try the merge again.");
    }
    if repo.merge_queue {
        return refusal(405, "Changes must be made through the merge queue");
    }
    if let Some(obstacle) = repo.obstacle(n) {
        return refusal(405, &obstacle);
    }
    let method = request.text("merge_method").unwrap_or_else(|| "merge".to_owned());
    let title = request.text("commit_title").unwrap_or_else(|| pull.title.clone());
    match world.land(full, n, &method, &title) {
        Ok(sha) => Out::One(200, json!({ "sha": sha, "merged": true, "message": "Pull Request successfully merged" })),
        Err(why) => refusal(405, &why),
    }
}

fn rerun(world: &mut World, full: &str, id: u64) -> Out {
    let repo = world.repository(full);
    let Some(run) = repo.workflows.iter_mut().find(|run| run.id == id) else { return refusal(404, "Not Found") };
    if run.conclusion.is_none() {
        return refusal(403, "This workflow is already running");
    }
    run.attempt += 1;
    let (branch, head, attempt) = (run.branch.clone(), run.head.clone(), run.attempt);
    let pushed = |pull: &&Pull| pull.branch == branch;
    let push = repo.pulls.values().find(pushed).map_or(1, |pull| pull.pushes);
    world.run_checks(full, &Push { branch, head, push, attempt });
    Out::One(201, json!({}))
}

/// The logs are on another host than the API, which is why their address carries a signature.
pub(crate) fn log(world: &World, path: &str) -> Out {
    let found = path.rsplit_once('/').and_then(|(full, id)| {
        let repo = world.repositories.get(full)?;
        repo.logs.get(&number(id)).cloned()
    });
    found.map_or_else(|| refusal(404, "no such log"), Out::Text)
}

/// GraphQL: all that may be asked for, by the names of its root fields.
pub(crate) fn graph(world: &mut World, name: &str, arguments: &Value) -> Result<Value, (&'static str, String)> {
    let argument = |key: &str| arguments.get(key).cloned().unwrap_or(Value::Null);
    let input = argument("input");
    match name {
        "repository" => {
            let full =
                format!("{}/{}", argument("owner").as_str().unwrap_or(""), argument("name").as_str().unwrap_or(""));
            if !world.repositories.contains_key(&full) {
                return Err(("NOT_FOUND", format!("Could not resolve to a Repository with the name '{full}'.")));
            }
            world.settle(&full);
            let repo = world.repository(&full);
            // Which of them, and which page of its threads, is for whoever walks the selection.
            let pulls = repo.pulls.iter().map(|(n, pull)| {
                let threads: Vec<Value> = pull.threads.iter().map(|thread| show::thread(thread, 20)).collect();
                (
                    n.to_string(),
                    json!({ "number": n, "id": show::node(repo, *n), "isDraft": pull.draft, "isInMergeQueue": pull.open && pull.queued, "reviewThreads": threads }),
                )
            });
            Ok(json!({ "pulls": pulls.collect::<serde_json::Map<_, _>>(), "nameWithOwner": full }))
        }
        "node" => {
            let id = argument("id");
            let threads =
                world.repositories.values().flat_map(|repo| repo.pulls.values()).flat_map(|pull| &pull.threads);
            let found = threads.into_iter().find(|thread| id == format!("RT_{}", thread.id));
            Ok(found.map_or(Value::Null, |thread| show::thread(thread, usize::MAX)))
        }
        "markPullRequestReadyForReview" | "enablePullRequestAutoMerge" | "enqueuePullRequest" => {
            let id = input["pullRequestId"].as_str().unwrap_or_default();
            let found = world.repositories.iter().find_map(|(name, repo)| {
                repo.pulls.keys().find(|n| show::node(repo, **n) == id).map(|n| (name.clone(), *n))
            });
            let Some((full, n)) = found else { return Err(("NOT_FOUND", "Could not resolve to a node".to_owned())) };
            change(world, &full, n, name, &input)
        }
        other => Err(("undefinedField", format!("the fake does not know `{other}`"))),
    }
}

fn change(world: &mut World, full: &str, n: u64, name: &str, input: &Value) -> Result<Value, (&'static str, String)> {
    let repo = world.repository(full);
    let (obstacle, queue) = (repo.obstacle(n), repo.merge_queue);
    let Some(pull) = repo.pulls.get_mut(&n) else { return Err(("NOT_FOUND", String::new())) };
    if input.get("expectedHeadOid").and_then(Value::as_str).is_some_and(|head| head != pull.head) {
        return Err(("UNPROCESSABLE", "Head sha didn't match expected head sha".to_owned()));
    }
    let draft = match name {
        "markPullRequestReadyForReview" => {
            pull.draft = false;
            false
        }
        "enablePullRequestAutoMerge" if obstacle.is_none() => {
            return Err(("UNPROCESSABLE", "Pull request Pull request is in clean status".to_owned()));
        }
        "enablePullRequestAutoMerge" => {
            pull.later = true;
            pull.draft
        }
        _ if !queue => return Err(("UNPROCESSABLE", "The base branch has no merge queue".to_owned())),
        _ => {
            pull.queued = true;
            pull.draft
        }
    };
    let shown = json!({ "isDraft": draft, "number": n });
    world.settle(full);
    Ok(
        json!({ "pullRequest": shown, "clientMutationId": null, "mergeQueueEntry": { "position": 1, "enqueuedAt": MOMENT } }),
    )
}
