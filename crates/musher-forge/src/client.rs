//! Asking a forge: tokens, entity tags, pages, limits, and every answer either understood or a [`ForgeError`].
//!
//! Made of hyper and rustls, which musher ships anyway. octocrab was measured first: 64 more crates to compile (75 s of
//! one core in a debug build, 44 s of them its own models, of which nothing would be used: every answer is read by types
//! of this crate, with bounds), 83 more entries of the lock file (reqwest, quinn and aws-lc among them), no bound on the
//! size of a body, and a layer that puts the base's path before every path, so that an Enterprise server's `/api/graphql`
//! and its logs on other hosts are out of its reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, IF_NONE_MATCH};
use musher_core::time::Timestamp;
use musher_tls::Trust;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cache::{Cache, Kept};
use crate::error::ForgeError;
use crate::http::{Answer, Outgoing, Take, Wire};
use crate::limit::{Budget, Limits, limited};
use crate::repository::ApiBase;
use crate::token::Token;

/// What the time is. The forge's driver owns no clock of its own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How many requests were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// All of them.
    pub requests: u64,
    /// Those answered with 304, which cost nothing of the budget.
    pub unchanged: u64,
}

/// A client for one forge and one token.
pub(crate) struct Client {
    wire: Wire,
    token: Token,
    cache: Cache,
    limits: Limits,
    clock: Clock,
    requests: AtomicU64,
    unchanged: AtomicU64,
}

impl Client {
    pub(crate) fn new(base: ApiBase, token: Token, clock: Clock) -> Self {
        Self {
            wire: Wire::new(base, Trust::default(), PATIENCE),
            token,
            cache: Cache::new(CACHE),
            limits: Limits::default(),
            clock,
            requests: AtomicU64::new(0),
            unchanged: AtomicU64::new(0),
        }
    }

    pub(crate) fn spent(&self) -> Spent {
        Spent { requests: self.requests.load(Ordering::Relaxed), unchanged: self.unchanged.load(Ordering::Relaxed) }
    }

    /// One thing. `what` names it for people.
    pub(crate) async fn get<T: DeserializeOwned>(&self, what: &str, path: &str) -> Result<T, ForgeError> {
        let kept = self.fetch(what, self.wire.base().path(path)).await?;
        parsed(&kept.body)
    }

    /// Every entry of a list, whatever the number of pages. `read` takes the entries out of a page.
    pub(crate) async fn list<P: DeserializeOwned, T>(
        &self,
        what: &str,
        path: &str,
        read: impl Fn(P) -> Vec<T>,
    ) -> Result<Vec<T>, ForgeError> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut next = Some(self.wire.base().path(&format!("{path}{joint}per_page=100")));
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let Some(target) = next else { return Ok(all) };
            let kept = self.fetch(what, target).await?;
            all.extend(read(parsed(&kept.body)?));
            next = match kept.link.as_deref().and_then(next_page) {
                None => None,
                Some(url) => match self.wire.base().within(url) {
                    Some(target) => Some(target.to_owned()),
                    None => return Err(ForgeError::strange("its next page is not within the API")),
                },
            };
        }
        match next {
            None => Ok(all),
            Some(_) => Err(ForgeError::strange(format!("the {what} has more than {MOST_PAGES} pages"))),
        }
    }

    /// A change.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        what: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ForgeError> {
        let body = encoded(body)?;
        let answer = self.ask(method, what, self.wire.base().path(path), body, &[], Budget::Rest).await?;
        // A change without an answer is as good as `{}`.
        if answer.body.is_empty() { parsed(b"{}") } else { parsed(&answer.body) }
    }

    /// A query or a mutation.
    pub(crate) async fn graphql<T: DeserializeOwned>(
        &self,
        what: &str,
        query: &str,
        variables: serde_json::Value,
    ) -> Result<T, ForgeError> {
        let body = encoded(&serde_json::json!({ "query": query, "variables": variables }))?;
        let answer = self.ask(Method::POST, what, self.wire.base().graphql(), body, &[], Budget::Graphql).await?;
        let said: Graphql<T> = parsed(&answer.body)?;
        if let Some(error) = said.errors.first() {
            return Err(self.refused_by_graphql(what, error, &answer));
        }
        said.data.ok_or_else(|| ForgeError::strange("it has neither data nor errors"))
    }

    /// The end of a text that the forge keeps elsewhere, such as a log. The token does not go there.
    pub(crate) async fn tail(&self, what: &str, path: &str, keep: usize) -> Result<Vec<u8>, ForgeError> {
        let target = self.wire.base().path(path);
        let answer = self.ask(Method::GET, what, target, Bytes::new(), &[], Budget::Rest).await?;
        if answer.status.as_u16() != 302 {
            let body = answer.body;
            return Ok(body[body.len().saturating_sub(keep)..].to_vec());
        }
        let location = answer.header("location").ok_or_else(|| ForgeError::strange("it leads nowhere"))?;
        let (base, target) = self.elsewhere(location)?;
        let request = Outgoing { method: Method::GET, target, headers: Vec::new(), body: Bytes::new() };
        let answer = self.wire.elsewhere(base).send(&request, Take::Tail { keep, most: LOG }).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(answer.body.to_vec()),
            404 | 410 => Err(ForgeError::Gone { what: what.to_owned() }),
            status => Err(ForgeError::unavailable(format!("the {what} was answered with {status}"))),
        }
    }

    /// The host and the path that a redirect names: encrypted as the API is.
    fn elsewhere(&self, location: &str) -> Result<(ApiBase, String), ForgeError> {
        let strange = || ForgeError::strange("it leads to an address that is none");
        if !location.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(strange());
        }
        let start = location.find("://").ok_or_else(strange)? + 3;
        let end = location[start..].find(['/', '?']).map_or(location.len(), |at| start + at);
        let base = ApiBase::parse(&location[..end]).map_err(|_| strange())?;
        if self.wire.base().encrypted && !base.encrypted {
            return Err(ForgeError::strange("it leads to an address that is not encrypted"));
        }
        let path = location[end..].split('#').next().unwrap_or_default();
        Ok((base, if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }))
    }

    /// What is at `target`, from the cache when the forge says that it has not changed.
    async fn fetch(&self, what: &str, target: String) -> Result<Kept, ForgeError> {
        let kept = self.cache.get(&target);
        let tag = kept.as_ref().and_then(|kept| HeaderValue::from_str(&kept.etag).ok());
        let headers: Vec<_> = tag.into_iter().map(|tag| (IF_NONE_MATCH, tag)).collect();
        let answer = self.ask(Method::GET, what, target.clone(), Bytes::new(), &headers, Budget::Rest).await?;
        if answer.status.as_u16() == 304 {
            self.unchanged.fetch_add(1, Ordering::Relaxed);
            return kept.ok_or_else(|| ForgeError::strange("it says `not modified` of what was never read"));
        }
        let link = answer.header("link").map(str::to_owned);
        let etag = answer.header("etag").unwrap_or_default().to_owned();
        let kept = Kept { etag, body: answer.body, link };
        if !kept.etag.is_empty() {
            self.cache.put(&target, kept.clone());
        }
        Ok(kept)
    }

    /// Asks, follows the forge where a repository was renamed, and tells an answer from a refusal.
    async fn ask(
        &self,
        method: Method,
        what: &str,
        mut target: String,
        body: Bytes,
        more: &[(HeaderName, HeaderValue)],
        budget: Budget,
    ) -> Result<Answer, ForgeError> {
        for _ in 0..=MOST_REDIRECTS {
            let mut headers = self.headers(body.is_empty());
            headers.extend_from_slice(more);
            let request = Outgoing { method: method.clone(), target: target.clone(), headers, body: body.clone() };
            self.limits.check(budget, (self.clock)())?;
            self.requests.fetch_add(1, Ordering::Relaxed);
            let answer = self.wire.send(&request, Take::Whole { most: BODY }).await?;
            let now = (self.clock)();
            self.limits.learn(budget, &answer, now);
            match answer.status.as_u16() {
                200..=299 | 304 => return Ok(answer),
                // To a log, which is elsewhere: the token stays here.
                302 => return Ok(answer),
                301 | 307 | 308 => {
                    let keeps_method = matches!(answer.status.as_u16(), 307 | 308) || method == Method::GET;
                    match answer.header("location").and_then(|url| self.wire.base().within(url)) {
                        Some(next) if keeps_method => target = next.to_owned(),
                        _ => return Err(ForgeError::strange(format!("the {what} has moved out of the API"))),
                    }
                }
                _ => return Err(self.refused(what, &answer, budget)),
            }
        }
        Err(ForgeError::strange(format!("the {what} leads from one address to the next")))
    }

    fn headers(&self, reads: bool) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = vec![
            (ACCEPT, HeaderValue::from_static("application/vnd.github+json")),
            (HeaderName::from_static("x-github-api-version"), HeaderValue::from_static("2022-11-28")),
        ];
        if let Ok(mut bearer) = HeaderValue::from_str(&format!("Bearer {}", self.token.expose())) {
            bearer.set_sensitive(true);
            headers.push((AUTHORIZATION, bearer));
        }
        if !reads {
            headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        }
        headers
    }

    fn refused(&self, what: &str, answer: &Answer, budget: Budget) -> ForgeError {
        let status = answer.status.as_u16();
        let message = message_of(&answer.body);
        let said = if message.is_empty() { format!("{what}: {}", answer.status) } else { format!("{what}: {message}") };
        let what = what.to_owned();
        match status {
            403 | 429 => {
                let now = (self.clock)();
                if let Some((until, limit)) = limited(answer, &message, now) {
                    self.limits.rest(budget, until);
                    return ForgeError::Limited { until, what: limit.to_owned() };
                }
                ForgeError::Refused { what: said, fix: fix_of(answer) }
            }
            401 => ForgeError::Refused { what: said, fix: BAD_TOKEN.to_owned() },
            404 => ForgeError::Missing { what },
            410 => ForgeError::Gone { what },
            405 | 409 | 412 => ForgeError::Conflict { what: said },
            408 | 500..=599 => ForgeError::Unavailable { what: said },
            _ => ForgeError::Invalid { what: said },
        }
    }

    fn refused_by_graphql(&self, what: &str, error: &GraphqlError, answer: &Answer) -> ForgeError {
        let said = format!("{what}: {}", shown(&error.message));
        match error.kind.as_str() {
            "RATE_LIMITED" | "RATE_LIMIT" => {
                let now = (self.clock)();
                let until = limited(answer, "rate limit exceeded", now).map_or(now, |(until, _)| until);
                self.limits.rest(Budget::Graphql, until);
                ForgeError::Limited { until, what: "the limit of GraphQL".to_owned() }
            }
            "FORBIDDEN" | "INSUFFICIENT_SCOPES" => ForgeError::Refused { what: said, fix: fix_of(answer) },
            "NOT_FOUND" => ForgeError::Missing { what: what.to_owned() },
            "UNPROCESSABLE" => ForgeError::Conflict { what: said },
            "SERVICE_UNAVAILABLE" | "INTERNAL" => ForgeError::Unavailable { what: said },
            _ => ForgeError::Invalid { what: said },
        }
    }
}

#[derive(Deserialize)]
struct Graphql<T> {
    data: Option<T>,
    #[serde(default = "Vec::new")]
    errors: Vec<GraphqlError>,
}

#[derive(Deserialize)]
struct GraphqlError {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    message: String,
}

fn encoded(body: &impl Serialize) -> Result<Bytes, ForgeError> {
    let text =
        serde_json::to_vec(body).map_err(|e| ForgeError::Invalid { what: format!("a defect of musher: {e}") })?;
    Ok(text.into())
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, ForgeError> {
    serde_json::from_slice(body).map_err(|error| ForgeError::strange(format!("not as described: {error}")))
}

/// The address of the next page in a `Link` header.
fn next_page(link: &str) -> Option<&str> {
    link.split(',').find_map(|part| {
        let (url, parameters) = part.trim().strip_prefix('<')?.split_once('>')?;
        let next = |p: &str| matches!(p.trim(), "rel=\"next\"" | "rel=next");
        parameters.split(';').any(next).then_some(url)
    })
}

/// What a refusal says, in a line.
fn message_of(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        message: String,
        #[serde(default)]
        errors: serde_json::Value,
    }
    let Ok(said) = serde_json::from_slice::<Said>(body) else { return String::new() };
    let details: Vec<&str> = match &said.errors {
        serde_json::Value::Array(errors) => {
            errors.iter().filter_map(|e| e.get("message").or(Some(e))?.as_str()).collect()
        }
        serde_json::Value::String(error) => vec![error],
        _ => Vec::new(),
    };
    let joint = if details.is_empty() { "" } else { ": " };
    shown(&format!("{}{joint}{}", said.message, details.join("; ")))
}

/// The beginning of what others said, as a line that moves no cursor.
fn shown(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

/// What the token lacks, as far as the forge says.
fn fix_of(answer: &Answer) -> String {
    let named = |name| answer.header(name).map(shown).filter(|value| !value.is_empty());
    if named("x-github-sso").is_some() {
        return "authorize the token for the organization's single sign-on, in its settings on GitHub".to_owned();
    }
    if let Some(permissions) = named("x-accepted-github-permissions") {
        return format!("give the token these permissions: {permissions}");
    }
    if let Some(scopes) = named("x-accepted-oauth-scopes") {
        let have = named("x-oauth-scopes").unwrap_or_else(|| "none".to_owned());
        return format!("give the token one of these scopes: {scopes} (it has: {have})");
    }
    "give the token the scope `repo`; a fine-grained one needs Contents, Issues, Pull requests and Actions (read and \
     write), Checks and Commit statuses (read)"
        .to_owned()
}

const BAD_TOKEN: &str = "the token is not known or has expired: put a good one into what `forge.token` names, or into \
                         GITHUB_TOKEN, or run `gh auth login`";

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer, in bytes.
const BODY: usize = 16 << 20;
/// The most of a log that is read to find its end, in bytes.
const LOG: usize = 256 << 20;
/// What is kept of answers, in bytes.
const CACHE: usize = 16 << 20;
/// The most pages of a list, of 100 entries each.
const MOST_PAGES: usize = 200;
/// The most redirects of one request.
const MOST_REDIRECTS: usize = 3;
/// How much of a refusal is shown, in characters.
const SHOWN: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_the_links() {
        let both = "<https://h/x?page=1>; rel=\"prev\", <https://h/x?page=3>; rel=\"next\", <https://h/x?page=9>; rel=\"last\"";
        let cases = [
            (both, Some("https://h/x?page=3")),
            ("<https://h/x?page=1>; rel=\"prev\"", None),
            ("<https://h/x?page=2>;rel=next", Some("https://h/x?page=2")),
            ("rubbish", None),
            ("<>", None),
            ("<a; rel=\"next\"", None),
        ];
        for (link, next) in cases {
            assert_eq!(next_page(link), next, "{link}");
        }
    }

    #[test]
    fn what_a_refusal_says_is_one_line_however_it_is_written() {
        let cases: [(&[u8], &str); 5] = [
            (
                br#"{"message":"Validation Failed","errors":[{"message":"A pull request exists"}]}"#,
                "Validation Failed: A pull request exists",
            ),
            (br#"{"message":"a\n\u001b[31mb"}"#, "a [31mb"),
            (br#"{"message":"No","errors":["one","two"]}"#, "No: one; two"),
            (b"<html>502</html>", ""),
            (br#"{"message":7}"#, ""),
        ];
        for (body, expected) in cases {
            assert_eq!(message_of(body), expected);
        }
    }
}
