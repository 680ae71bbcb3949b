//! Checks of a commit: check runs, check suites, statuses; running them again; their logs.

use hyper::Method as Verb;
use serde::Deserialize;

use super::at;
use crate::client::Client;
use crate::error::ForgeError;
use crate::forge::{Check, Rerun};
use crate::repository::{RepositoryName, encoded};

/// All checks of a commit.
pub(super) async fn of(client: &Client, repo: &RepositoryName, commit: &str) -> Result<Vec<Check>, ForgeError> {
    let below = |end: &str| at(repo, &format!("/commits/{}/{end}", encoded(commit)));
    let runs =
        client.list("list of check runs", &below("check-runs?filter=latest"), |page: Runs| page.check_runs).await?;
    let suites = client.list("list of check suites", &below("check-suites"), |page: Suites| page.check_suites).await?;
    let statuses = client.list("list of statuses", &below("status"), |page: Combined| page.statuses).await?;
    let mut checks: Vec<Check> = runs.into_iter().map(Into::into).collect();
    checks.extend(suites.into_iter().filter_map(Suite::alone));
    checks.extend(statuses.into_iter().map(Into::into));
    Ok(checks)
}

#[derive(Deserialize)]
struct Runs {
    check_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
    name: String,
    status: String,
    conclusion: Option<String>,
    #[serde(default)]
    html_url: Option<String>,
    #[serde(default)]
    output: Option<Output>,
    #[serde(default)]
    app: Option<App>,
}

#[derive(Deserialize)]
struct Output {
    #[serde(default)]
    title: Option<String>,
}

#[derive(Deserialize)]
struct App {
    #[serde(default)]
    slug: Option<String>,
    #[serde(default)]
    name: String,
}

impl From<Run> for Check {
    fn from(run: Run) -> Self {
        let actions = run.app.as_ref().is_some_and(|app| app.slug.as_deref() == Some(ACTIONS));
        Self {
            id: run.id,
            name: run.name,
            run: run.html_url.as_deref().filter(|_| actions).and_then(workflow_of),
            // One that runs again keeps the conclusion of before on some servers: only a completed one has any.
            word: run.conclusion.filter(|_| run.status == "completed").unwrap_or(run.status),
            // A check run of GitHub Actions and its job have the same id.
            job: actions.then_some(run.id),
            summary: run.output.and_then(|output| output.title).unwrap_or_default(),
            url: run.html_url.unwrap_or_default(),
        }
    }
}

/// The run's number in a page such as `…/actions/runs/12/job/34`: the API says it nowhere else.
fn workflow_of(page: &str) -> Option<u64> {
    let (_, rest) = page.split_once("/actions/runs/")?;
    rest.split('/').next()?.parse().ok()
}

#[derive(Deserialize)]
struct Suites {
    check_suites: Vec<Suite>,
}

#[derive(Deserialize)]
struct Suite {
    id: u64,
    conclusion: Option<String>,
    #[serde(default)]
    latest_check_runs_count: u64,
    #[serde(default)]
    app: Option<App>,
}

impl Suite {
    /// A suite that ended without any run, for its program could not start or waits for a person. One without runs and
    /// without an end says nothing: GitHub makes one for every program that is installed, whether it ever checks or not.
    fn alone(self) -> Option<Check> {
        let word = self.conclusion.filter(|_| self.latest_check_runs_count == 0)?;
        let name = self.app.map(|app| app.name).filter(|name| !name.is_empty());
        Some(Check {
            id: self.id,
            name: name.unwrap_or_else(|| format!("check suite {}", self.id)),
            run: None,
            word,
            job: None,
            summary: "the suite ended without any check".to_owned(),
            url: String::new(),
        })
    }
}

#[derive(Deserialize)]
struct Combined {
    statuses: Vec<Status>,
}

#[derive(Deserialize)]
struct Status {
    context: String,
    state: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    target_url: Option<String>,
}

impl From<Status> for Check {
    fn from(status: Status) -> Self {
        // The words of statuses are fewer: `error` is a failure that is not the change's own.
        let word = if status.state == "error" { "failure".to_owned() } else { status.state };
        Self {
            id: 0,
            name: status.context,
            run: None,
            word,
            job: None,
            summary: status.description.unwrap_or_default(),
            url: status.target_url.unwrap_or_default(),
        }
    }
}

/// Starts each workflow run of the commit that failed at its first attempt once more.
///
/// One that is at a later attempt has been started again, by musher or by a person: that is the second chance it gets,
/// so that the same wish, however often it is carried out, starts nothing twice.
pub(super) async fn rerun(client: &Client, repo: &RepositoryName, commit: &str) -> Result<Rerun, ForgeError> {
    #[derive(Deserialize)]
    struct Page {
        workflow_runs: Vec<Workflow>,
    }
    #[derive(Deserialize)]
    struct Workflow {
        id: u64,
        status: Option<String>,
        conclusion: Option<String>,
        #[serde(default)]
        run_attempt: u64,
        head_sha: String,
    }
    let path = at(repo, &format!("/actions/runs?head_sha={}", encoded(commit)));
    let runs = client.list("list of workflow runs", &path, |page: Page| page.workflow_runs).await?;
    let mut started = 0;
    for run in runs.into_iter().filter(|run| run.head_sha == commit) {
        if run.run_attempt > 1 {
            // Still at work again, or well again; one that failed again has had its chance.
            started +=
                usize::from(run.status.as_deref() != Some("completed") || run.conclusion.as_deref() == Some("success"));
            continue;
        }
        let failed =
            matches!(run.conclusion.as_deref(), Some("failure" | "timed_out" | "cancelled" | "startup_failure"));
        if !failed || run.status.as_deref() != Some("completed") {
            continue;
        }
        let path = at(repo, &format!("/actions/runs/{}/rerun-failed-jobs", run.id));
        let what = format!("workflow run {}", run.id);
        client.send::<serde::de::IgnoredAny>(Verb::POST, &what, &path, &serde_json::json!({})).await?;
        started += 1;
    }
    Ok(if started == 0 { Rerun::NotPossible } else { Rerun::Started(started) })
}

/// The end of a job's log. A line that was cut is left out, and so are the codes that colour a terminal.
pub(super) async fn log(
    client: &Client,
    repo: &RepositoryName,
    job: u64,
    most_bytes: usize,
) -> Result<String, ForgeError> {
    let path = at(repo, &format!("/actions/jobs/{job}/logs"));
    let bytes = client.tail(&format!("log of job {job}"), &path, most_bytes).await?;
    let cut = bytes.len() >= most_bytes;
    let text = String::from_utf8_lossy(&bytes);
    let whole = match text.find('\n') {
        Some(end) if cut => &text[end + 1..],
        _ => &text,
    };
    Ok(plain(whole))
}

/// The text without escape sequences and without characters that move a cursor.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => {
                if characters.next_if_eq(&'[').is_some() {
                    // Parameters, then one letter.
                    while characters.next_if(|c| matches!(c, '\u{20}'..='\u{3f}')).is_some() {}
                    characters.next_if(|c| matches!(c, '\u{40}'..='\u{7e}'));
                }
            }
            '\n' | '\t' => out.push(character),
            c if c.is_control() || c == '\u{feff}' => {}
            c => out.push(c),
        }
    }
    out
}

/// The slug of GitHub's own program for checks.
const ACTIONS: &str = "github-actions";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_plain_text() {
        let cases = [
            ("\u{feff}2026 ##[error]\u{1b}[31mno\u{1b}[0m\r\n", "2026 ##[error]no\n"),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
            ("\u{1b}[1;2", ""),
            ("a\u{7}b\tc", "ab\tc"),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }
}
