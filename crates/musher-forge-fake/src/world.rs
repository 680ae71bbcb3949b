//! What the fake GitHub holds, and how it behaves.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::git;

/// All that there is. Ids are unique in it.
pub struct World {
    /// By `owner/name`.
    pub repositories: BTreeMap<String, Repo>,
    /// Whom the token belongs to.
    pub me: Person,
    /// Whom the other token belongs to.
    pub reviewer: Person,
    /// Whether the request that is being answered came with the other token.
    pub(crate) by_reviewer: bool,
    pub(crate) events: Vec<(String, Value)>,
    next_id: u64,
}

impl Default for World {
    fn default() -> Self {
        let reviewer = Person { login: "review-bot".to_owned(), association: "COLLABORATOR" };
        Self {
            repositories: BTreeMap::new(),
            me: Person::default(),
            reviewer,
            by_reviewer: false,
            events: Vec::new(),
            next_id: 0,
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

/// A new head of a pull request, or a further attempt at its checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// The branch.
    pub branch: String,
    /// Its commit.
    pub head: String,
    /// The how many-th head of this pull request it is, from 1.
    pub push: u64,
    /// The how many-th attempt at this head, from 1.
    pub attempt: u64,
}

/// Says how the checks of a push end: name and conclusion. An empty conclusion is one that goes on.
pub type Ci = Box<dyn Fn(&Push) -> Vec<(String, String)> + Send>;

/// A repository.
#[derive(Default)]
pub struct Repo {
    /// `owner/name`.
    pub name: String,
    pub(crate) id: u64,
    /// A bare repository whose branches are this one's. Without it `branches` are.
    pub git: Option<PathBuf>,
    /// Tips by the names of branches.
    pub branches: BTreeMap<String, String>,
    /// The branch that work goes to.
    pub default_branch: String,
    /// Issues by number; pull requests share the numbers.
    pub issues: BTreeMap<u64, Issue>,
    /// Pull requests by number.
    pub pulls: BTreeMap<u64, Pull>,
    /// Comments at issues and pull requests.
    pub comments: Vec<Comment>,
    /// Reactions to comments.
    pub reactions: Vec<(u64, String)>,
    /// Checks by commit.
    pub checks: Vec<Check>,
    /// Suites that have no check, by commit: program, conclusion.
    pub suites: Vec<(String, String, Option<String>)>,
    /// Statuses by commit: context, state.
    pub statuses: Vec<(String, String, String)>,
    /// Workflow runs.
    pub workflows: Vec<Workflow>,
    /// Logs by the ids of jobs.
    pub logs: BTreeMap<u64, String>,
    /// Names of checks that a merge needs.
    pub required: Vec<String>,
    /// How many approvals a merge needs.
    pub approvals: u64,
    /// Whether merges go through the queue.
    pub merge_queue: bool,
    /// Whether the queue's own checks go on: nothing leaves it.
    pub queue_waits: bool,
    /// What people may do: `admin`, `write`, `read`.
    pub people: BTreeMap<String, String>,
    /// How checks end.
    pub ci: Option<Ci>,
    /// The name that it had before.
    pub renamed_from: Option<String>,
}

/// Who writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub login: String,
    /// How they stand to the repository.
    pub association: &'static str,
}

impl Default for Person {
    fn default() -> Self {
        Self { login: "musher-bot".to_owned(), association: "COLLABORATOR" }
    }
}

/// An issue.
#[derive(Clone, Debug)]
pub struct Issue {
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Whether it is open.
    pub open: bool,
    /// Who wrote it.
    pub author: Person,
}

/// A pull request.
#[derive(Clone, Debug, Default)]
pub struct Pull {
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Whether it is a draft.
    pub draft: bool,
    /// The branch that it comes from.
    pub branch: String,
    /// The branch that it goes to.
    pub base: String,
    /// The last head that was seen.
    pub head: String,
    /// Whether it is open.
    pub open: bool,
    /// As what it was merged.
    pub merged: Option<String>,
    /// Reviews.
    pub reviews: Vec<Review>,
    /// Threads.
    pub threads: Vec<Thread>,
    /// Says whether it conflicts, where there is no git repository to find out.
    pub conflicts: bool,
    /// The head and base for which it was found out: the first who asks is told that it is not known yet.
    pub(crate) computed: Option<(String, String)>,
    /// Who has opened it.
    pub author: Person,
    /// Every head that it has had.
    pub(crate) heads: Vec<String>,
    pub(crate) later: bool,
    /// Whether it is in the merge queue.
    pub queued: bool,
    pub(crate) pushes: u64,
}

/// A comment.
#[derive(Clone, Debug)]
pub struct Comment {
    /// Its id.
    pub id: u64,
    /// Of which issue or pull request.
    pub number: u64,
    /// Who wrote it.
    pub author: Person,
    /// What it says.
    pub body: String,
}

/// A check run.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its id, and its job's.
    pub id: u64,
    /// Of which commit.
    pub head: String,
    /// Its name.
    pub name: String,
    /// How it ended; none while it goes on.
    pub conclusion: Option<String>,
    /// Whether it is one of GitHub Actions.
    pub actions: bool,
}

/// A workflow run.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// Its id.
    pub id: u64,
    /// Of which commit.
    pub head: String,
    /// Of which branch.
    pub branch: String,
    /// From 1.
    pub attempt: u64,
    /// How it ended; none while it goes on.
    pub conclusion: Option<String>,
}

/// A review.
#[derive(Clone, Debug)]
pub struct Review {
    /// Its id.
    pub id: u64,
    /// Who.
    pub author: Person,
    /// `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED`, `DISMISSED`.
    pub state: &'static str,
    /// What they wrote.
    pub body: String,
    /// Of which commit.
    pub head: String,
}

/// A thread at a line.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Its id.
    pub id: u64,
    /// The file.
    pub path: String,
    /// The line.
    pub line: u64,
    /// Whether it is settled.
    pub resolved: bool,
    /// Who said what.
    pub comments: Vec<(u64, Person, String)>,
}

impl World {
    /// A new id.
    pub fn id(&mut self) -> u64 {
        self.next_id += 1;
        1000 + self.next_id
    }

    /// Adds an empty repository with a branch `main`.
    pub fn add_repository(&mut self, name: &str) -> &mut Repo {
        let id = self.id();
        let mut repo = Repo { name: name.to_owned(), id, default_branch: "main".to_owned(), ..Repo::default() };
        repo.branches.insert("main".to_owned(), made_up(name, 0));
        for person in [&self.me, &self.reviewer] {
            repo.people.insert(person.login.clone(), "write".to_owned());
        }
        self.repositories.entry(name.to_owned()).or_insert(repo)
    }

    /// Who asks.
    pub(crate) fn asking(&self) -> &Person {
        if self.by_reviewer { &self.reviewer } else { &self.me }
    }

    /// A repository.
    ///
    /// # Panics
    /// When there is none of this name: a test that names one has made it.
    #[allow(clippy::expect_used, reason = "a test that goes on without its repository would test nothing")]
    pub fn repository(&mut self, name: &str) -> &mut Repo {
        self.repositories.get_mut(name).expect("a repository of this name")
    }

    /// Adds an issue; answers its number.
    pub fn add_issue(&mut self, repo: &str, title: &str, body: &str, author: Person) -> u64 {
        let repo = self.repository(repo);
        let number = repo.next_number();
        let issue = Issue { title: title.to_owned(), body: body.to_owned(), labels: Vec::new(), open: true, author };
        repo.issues.insert(number, issue);
        let name = repo.name.clone();
        self.emit(&name, "issues", "opened", json!({ "issue": { "number": number } }));
        number
    }

    /// Somebody says something.
    pub fn add_comment(&mut self, repo: &str, number: u64, author: Person, body: &str) -> u64 {
        let id = self.id();
        let comment = Comment { id, number, author, body: body.to_owned() };
        let repo = self.repository(repo);
        let mut issue = json!({ "number": number });
        if repo.pulls.contains_key(&number) {
            issue["pull_request"] = json!({});
        }
        repo.comments.push(comment);
        let name = repo.name.clone();
        self.emit(&name, "issue_comment", "created", json!({ "issue": issue, "comment": { "id": id } }));
        id
    }

    /// Somebody judges a pull request at its present head.
    pub fn add_review(&mut self, repo: &str, number: u64, author: Person, state: &'static str, body: &str) {
        let Some(pull) = self.repository(repo).pulls.get(&number) else { return };
        let head = pull.head.clone();
        self.add_review_of(repo, number, (author, head), state, body);
    }

    /// The same, of a commit.
    pub(crate) fn add_review_of(
        &mut self,
        repo: &str,
        number: u64,
        (author, head): (Person, String),
        state: &'static str,
        body: &str,
    ) {
        let id = self.id();
        let Some(pull) = self.repository(repo).pulls.get_mut(&number) else { return };
        pull.reviews.push(Review { id, author, state, body: body.to_owned(), head });
        self.emit(repo, "pull_request_review", "submitted", json!({ "pull_request": { "number": number } }));
    }

    /// Somebody says something at a line.
    pub fn add_thread(&mut self, repo: &str, number: u64, author: Person, path: &str, line: u64, body: &str) -> u64 {
        let (id, comment) = (self.id(), self.id());
        let Some(pull) = self.repository(repo).pulls.get_mut(&number) else { return id };
        let comments = vec![(comment, author, body.to_owned())];
        pull.threads.push(Thread { id, path: path.to_owned(), line, resolved: false, comments });
        self.emit(repo, "pull_request_review_comment", "created", json!({ "pull_request": { "number": number } }));
        id
    }

    /// A thread is settled.
    pub fn resolve_thread(&mut self, repo: &str, number: u64, thread: u64) {
        let Some(pull) = self.repository(repo).pulls.get_mut(&number) else { return };
        pull.threads.iter_mut().filter(|t| t.id == thread).for_each(|t| t.resolved = true);
        self.emit(repo, "pull_request_review_thread", "resolved", json!({ "pull_request": { "number": number } }));
    }

    /// A check of GitHub Actions ends, or begins when there is no conclusion. One of the same name is replaced.
    pub fn set_check(&mut self, repo: &str, head: &str, name: &str, conclusion: Option<&str>) -> u64 {
        let id = self.id();
        let repo = self.repository(repo);
        repo.checks.retain(|check| check.head != head || check.name != name);
        let conclusion = conclusion.map(str::to_owned);
        repo.checks.push(Check {
            id,
            head: head.to_owned(),
            name: name.to_owned(),
            conclusion: conclusion.clone(),
            actions: true,
        });
        let action = if conclusion.is_some() { "completed" } else { "created" };
        let (name, head) = (repo.name.clone(), head.to_owned());
        self.emit(
            &name,
            "check_run",
            action,
            json!({ "check_run": { "id": id, "head_sha": head, "pull_requests": [] } }),
        );
        id
    }

    /// A branch gets a new tip, where there is no git repository.
    pub fn push(&mut self, repo: &str, branch: &str) -> String {
        let id = self.id();
        let tip = made_up(branch, id);
        self.repository(repo).branches.insert(branch.to_owned(), tip.clone());
        self.settle(repo);
        tip
    }

    pub(crate) fn emit(&mut self, repo: &str, event: &str, action: &str, mut payload: Value) {
        payload["action"] = json!(action);
        payload["repository"] = json!({ "full_name": repo });
        payload["sender"] = json!({ "login": "someone" });
        self.events.push((event.to_owned(), payload));
    }

    /// Looks at the branches: new heads get their checks, and what may merge by itself does.
    pub(crate) fn settle(&mut self, name: &str) {
        let Some(repo) = self.repositories.get_mut(name) else { return };
        if let Some(git) = &repo.git {
            repo.branches = git::branches(git);
        }
        let mut moved = Vec::new();
        for (number, pull) in repo.pulls.iter_mut().filter(|(_, pull)| pull.open) {
            let Some(tip) = repo.branches.get(&pull.branch) else { continue };
            if *tip != pull.head {
                pull.head = tip.clone();
                pull.heads.push(tip.clone());
                pull.pushes += 1;
                moved.push((
                    *number,
                    Push { branch: pull.branch.clone(), head: tip.clone(), push: pull.pushes, attempt: 1 },
                ));
            }
        }
        for (number, push) in moved {
            if push.push > 1 {
                self.emit(
                    name,
                    "pull_request",
                    "synchronize",
                    json!({ "number": number, "pull_request": { "number": number, "head": { "sha": push.head } } }),
                );
            }
            self.run_checks(name, &push);
        }
        self.merge_by_itself(name);
    }

    /// Checks run as the repository's `ci` says.
    pub(crate) fn run_checks(&mut self, name: &str, push: &Push) {
        let (id, repo) = (self.id(), self.repository(name));
        let Some(ci) = &repo.ci else { return };
        let ends = ci(push);
        let word = |conclusion: &str| (!conclusion.is_empty()).then(|| conclusion.to_owned());
        let failed = ends.iter().find(|(_, end)| end != "success").map(|(_, end)| end.clone());
        let conclusion = word(&failed.unwrap_or_else(|| "success".to_owned()));
        match repo.workflows.iter_mut().find(|run| run.head == push.head) {
            Some(run) => (run.attempt, run.conclusion) = (push.attempt, conclusion.clone()),
            None => {
                let (head, branch) = (push.head.clone(), push.branch.clone());
                repo.workflows.push(Workflow {
                    id,
                    head,
                    branch,
                    attempt: push.attempt,
                    conclusion: conclusion.clone(),
                });
            }
        }
        for (check, end) in &ends {
            let id = self.set_check(name, &push.head, check, word(end).as_deref());
            let log = format!("attempt {} of {check} at {}\n##[error]it ended with {end}\n", push.attempt, push.head);
            self.repository(name).logs.insert(id, log);
        }
        let action = if conclusion.is_some() { "completed" } else { "requested" };
        self.emit(
            name,
            "workflow_run",
            action,
            json!({ "workflow_run": { "id": id, "head_sha": push.head, "pull_requests": [] } }),
        );
    }

    fn merge_by_itself(&mut self, name: &str) {
        let Some(repo) = self.repositories.get(name) else { return };
        let waits = |(_, pull): &(&u64, &Pull)| pull.open && (pull.later || (pull.queued && !repo.queue_waits));
        let waiting: Vec<u64> = repo.pulls.iter().filter(waits).map(|(number, _)| *number).collect();
        for number in waiting {
            if self.repositories.get(name).is_some_and(|repo| repo.obstacle(number).is_none()) {
                // One that conflicts after all waits on, as it does on GitHub.
                let _ = self.land(name, number, "squash", "merged when ready");
            }
        }
    }

    /// Merges. Answers the commit, or why it cannot be.
    pub fn land(&mut self, name: &str, number: u64, method: &str, title: &str) -> Result<String, String> {
        let id = self.id();
        let repo = self.repository(name);
        let Some(pull) = repo.pulls.get_mut(&number) else { return Err("Not Found".to_owned()) };
        let commit = match &repo.git {
            Some(git) => git::merge(git, &pull.base, &pull.head, method, title)?,
            None => made_up("merge", id),
        };
        repo.branches.insert(pull.base.clone(), commit.clone());
        (pull.open, pull.merged) = (false, Some(commit.clone()));
        let closes = closed_by(&pull.body);
        let head = pull.head.clone();
        repo.issues.iter_mut().filter(|(number, _)| closes.contains(number)).for_each(|(_, issue)| issue.open = false);
        self.emit(
            name,
            "pull_request",
            "closed",
            json!({ "number": number, "pull_request": { "number": number, "merged": true, "head": { "sha": head } } }),
        );
        Ok(commit)
    }
}

impl Repo {
    pub(crate) fn next_number(&self) -> u64 {
        let last = |last: Option<&u64>| last.copied().unwrap_or_default();
        1 + last(self.issues.keys().next_back()).max(last(self.pulls.keys().next_back()))
    }

    /// Whether the change conflicts with its base.
    pub(crate) fn conflicts(&self, pull: &Pull) -> bool {
        match &self.git {
            Some(git) => !git::merges(git, &pull.base, &pull.head),
            None => pull.conflicts,
        }
    }

    /// Why a pull request cannot be merged, in GitHub's words.
    pub(crate) fn obstacle(&self, number: u64) -> Option<String> {
        let pull = self.pulls.get(&number)?;
        if !pull.open {
            return Some("Pull Request is not mergeable".to_owned());
        }
        if pull.draft {
            return Some("Pull Request is still a draft".to_owned());
        }
        if self.conflicts(pull) {
            return Some("Pull Request is not mergeable".to_owned());
        }
        let succeeded = |name: &String| {
            self.checks
                .iter()
                .any(|c| c.head == pull.head && c.name == *name && c.conclusion.as_deref() == Some("success"))
                || self
                    .statuses
                    .iter()
                    .any(|(head, context, state)| *head == pull.head && context == name && state == "success")
        };
        if let Some(lacking) = self.required.iter().find(|name| !succeeded(name)) {
            return Some(format!("Required status check \"{lacking}\" is expected."));
        }
        let mut last: BTreeMap<&str, &str> = BTreeMap::new();
        for review in pull.reviews.iter().filter(|review| review.state != "COMMENTED") {
            last.insert(&review.author.login, review.state);
        }
        let approvals = last.values().filter(|state| **state == "APPROVED").count() as u64;
        let refused = last.values().any(|state| *state == "CHANGES_REQUESTED");
        if self.approvals > 0 && (refused || approvals < self.approvals) {
            return Some(format!(
                "At least {} approving review is required by reviewers with write access.",
                self.approvals
            ));
        }
        None
    }
}

/// The issues that a text closes when it is merged.
fn closed_by(body: &str) -> Vec<u64> {
    let words: Vec<String> = body.split_whitespace().map(str::to_ascii_lowercase).collect();
    let pairs = words.windows(2);
    let closing = pairs.filter(|pair| ["closes", "fixes", "resolves"].contains(&pair[0].trim_end_matches(':')));
    closing.filter_map(|pair| pair[1].trim_matches(['#', '.', ',', ';']).parse().ok()).collect()
}

/// A commit that no git repository has.
pub(crate) fn made_up(name: &str, number: u64) -> String {
    let text = format!("{name}/{number}");
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}
