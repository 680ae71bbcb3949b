//! Merges, and what a branch demands of them.

use hyper::Method as Verb;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{at, pull};
use crate::client::Client;
use crate::error::ForgeError;
use crate::forge::{Merge, MergeHow, Method, Pull, PullState, Rules};
use crate::repository::{RepositoryName, encoded};

/// The rules of rulesets and those of the older branch protection, joined.
pub(super) async fn rules(client: &Client, repo: &RepositoryName, branch: &str) -> Result<Rules, ForgeError> {
    let mut rules = Rules::default();
    rulesets(client, repo, branch).await?.into_iter().for_each(|rule| rule.add_to(&mut rules));
    let path = at(repo, &format!("/branches/{}", encoded(branch)));
    let found: Branch = client.get(&format!("branch `{branch}` of `{repo}`"), &path).await?;
    if let Some(checks) = found.protection.and_then(|protection| protection.required_status_checks) {
        rules.required_checks.extend(checks.contexts);
    }
    rules.required_checks.sort_unstable();
    rules.required_checks.dedup();
    Ok(rules)
}

async fn rulesets(client: &Client, repo: &RepositoryName, branch: &str) -> Result<Vec<Rule>, ForgeError> {
    let path = at(repo, &format!("/rules/branches/{}", encoded(branch)));
    let what = format!("list of rules of `{branch}`");
    match client.list(&what, &path, |page: Vec<Rule>| page).await {
        // Servers before 3.11 have no rulesets.
        Err(ForgeError::Missing { .. }) => Ok(Vec::new()),
        other => other,
    }
}

/// Whether a pull request is in the forge's own merge queue. Whether its base has one is asked first: that costs nothing when
/// nothing changed.
pub(super) async fn is_queued(client: &Client, repo: &RepositoryName, pull: &Pull) -> Result<bool, ForgeError> {
    #[derive(Deserialize)]
    struct Data {
        repository: Option<Found>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Found {
        pull_request: Option<Entry>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        is_in_merge_queue: bool,
    }
    // No draft is in a queue.
    if pull.draft || !rulesets(client, repo, &pull.base).await?.iter().any(|rule| rule.kind == MERGE_QUEUE) {
        return Ok(false);
    }
    let variables = json!({ "owner": repo.owner(), "name": repo.name(), "number": pull.number });
    let data: Data = client.graphql(&format!("queue of pull request #{}", pull.number), QUEUED, variables).await?;
    Ok(data.repository.and_then(|found| found.pull_request).is_some_and(|entry| entry.is_in_merge_queue))
}

const MERGE_QUEUE: &str = "merge_queue";

const QUEUED: &str = "query($owner: String!, $name: String!, $number: Int!) { \
                      repository(owner: $owner, name: $name) { pullRequest(number: $number) { isInMergeQueue } } }";

#[derive(Deserialize)]
struct Rule {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    parameters: Value,
}

impl Rule {
    fn add_to(self, rules: &mut Rules) {
        let flag = |key: &str| self.parameters.get(key).and_then(Value::as_bool).unwrap_or_default();
        let list = |key: &str| self.parameters.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        match self.kind.as_str() {
            "required_status_checks" => {
                let contexts = list("required_status_checks");
                let name = |check: &Value| check.get("context").and_then(Value::as_str).map(str::to_owned);
                rules.required_checks.extend(contexts.iter().filter_map(name));
                rules.up_to_date |= flag("strict_required_status_checks_policy");
            }
            MERGE_QUEUE => rules.merge_queue = true,
            "pull_request" => {
                let count = self.parameters.get("required_approving_review_count").and_then(Value::as_u64);
                let count = u32::try_from(count.unwrap_or_default()).unwrap_or(u32::MAX);
                rules.approvals = rules.approvals.max(count);
                rules.threads_resolved |= flag("required_review_thread_resolution");
                let methods = list("allowed_merge_methods");
                let allowed: Vec<Method> = methods.iter().filter_map(Value::as_str).filter_map(method).collect();
                rules.narrow(allowed);
            }
            "required_linear_history" => rules.narrow(vec![Method::Squash, Method::Rebase]),
            // Others limit pushes, which is not for musher to know: GitHub refuses then, and says why.
            _ => {}
        }
    }
}

impl Rules {
    /// Only what every rule allows.
    fn narrow(&mut self, allowed: Vec<Method>) {
        if allowed.is_empty() {
            return;
        }
        if self.methods.is_empty() {
            self.methods = allowed;
        } else {
            self.methods.retain(|method| allowed.contains(method));
        }
    }
}

fn method(word: &str) -> Option<Method> {
    match word {
        "squash" => Some(Method::Squash),
        "merge" => Some(Method::Merge),
        "rebase" => Some(Method::Rebase),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Branch {
    #[serde(default)]
    protection: Option<Protection>,
}

#[derive(Deserialize)]
struct Protection {
    #[serde(default)]
    required_status_checks: Option<Required>,
}

#[derive(Deserialize)]
struct Required {
    #[serde(default)]
    contexts: Vec<String>,
}

pub(super) async fn merge(
    client: &Client,
    repo: &RepositoryName,
    number: u64,
    how: &MergeHow,
) -> Result<Merge, ForgeError> {
    let before = pull::get(client, repo, number).await?;
    match before.state {
        PullState::Merged(commit) => return Ok(Merge::Already(commit)),
        PullState::Closed => return Err(conflict(number, "it is closed")),
        PullState::Open if before.head != how.head => return Err(conflict(number, "its head has moved")),
        PullState::Open => {}
    }
    let mut body = json!({ "sha": how.head, "merge_method": word(how.method) });
    if how.method != Method::Rebase {
        body["commit_title"] = json!(how.title);
        body["commit_message"] = json!(how.message);
    }
    #[derive(Deserialize)]
    struct Merged {
        sha: String,
        merged: bool,
    }
    let what = format!("merge of #{number} of `{repo}`");
    let done: Merged = client.send(Verb::PUT, &what, &at(repo, &format!("/pulls/{number}/merge")), &body).await?;
    if done.merged { Ok(Merge::Done(done.sha)) } else { Err(conflict(number, "it was not merged")) }
}

fn conflict(number: u64, why: &str) -> ForgeError {
    ForgeError::Conflict { what: format!("#{number}: {why}") }
}

const fn word(method: Method) -> &'static str {
    match method {
        Method::Squash => "squash",
        Method::Merge => "merge",
        Method::Rebase => "rebase",
    }
}

pub(super) async fn when_ready(client: &Client, pull: &Pull, how: &MergeHow) -> Result<(), ForgeError> {
    let mut input = json!({
        "pullRequestId": pull.node,
        "mergeMethod": word(how.method).to_ascii_uppercase(),
        "expectedHeadOid": how.head,
    });
    if how.method != Method::Rebase {
        input["commitHeadline"] = json!(how.title);
        input["commitBody"] = json!(how.message);
    }
    mutate(client, pull.number, WHEN_READY, input).await
}

pub(super) async fn enqueue(client: &Client, pull: &Pull, head: &str) -> Result<(), ForgeError> {
    mutate(client, pull.number, ENQUEUE, json!({ "pullRequestId": pull.node, "expectedHeadOid": head })).await
}

async fn mutate(client: &Client, number: u64, mutation: &str, input: Value) -> Result<(), ForgeError> {
    let what = format!("pull request #{number}");
    client.graphql::<serde::de::IgnoredAny>(&what, mutation, json!({ "input": input })).await.map(drop)
}

const WHEN_READY: &str = "mutation($input: EnablePullRequestAutoMergeInput!) \
                          { enablePullRequestAutoMerge(input: $input) { clientMutationId } }";

const ENQUEUE: &str = "mutation($input: EnqueuePullRequestInput!) \
                       { enqueuePullRequest(input: $input) { mergeQueueEntry { position } } }";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_add_up_and_only_what_every_rule_allows_is_a_way_to_merge() {
        let found = json!([
            { "type": "required_status_checks", "parameters": {
                "required_status_checks": [{ "context": "ci", "integration_id": 15368 }, { "context": "lint" }],
                "strict_required_status_checks_policy": true } },
            { "type": "pull_request", "parameters": {
                "required_approving_review_count": 1, "required_review_thread_resolution": true,
                "allowed_merge_methods": ["merge", "squash"] } },
            { "type": "pull_request", "parameters": { "required_approving_review_count": 2 } },
            { "type": "required_linear_history" },
            { "type": "merge_queue", "parameters": { "grouping_strategy": "ALLGREEN" } },
            { "type": "something_new", "parameters": 7 },
            { "type": "required_status_checks", "parameters": null },
        ]);
        let found: Vec<Rule> = serde_json::from_value(found).unwrap();
        let mut rules = Rules::default();
        found.into_iter().for_each(|rule| rule.add_to(&mut rules));
        let expected = Rules {
            required_checks: vec!["ci".to_owned(), "lint".to_owned()],
            up_to_date: true,
            merge_queue: true,
            approvals: 2,
            threads_resolved: true,
            methods: vec![Method::Squash],
        };
        assert_eq!(rules, expected);
    }
}
