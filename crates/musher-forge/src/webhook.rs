//! What a forge sends by itself: verified before it is parsed, and only ever a hint.
//!
//! A webhook says that something has changed; what is so is then read from the forge. A forged one that passes (its
//! secret was stolen) or an old one that comes again costs a look, and changes nothing else.

use musher_core::forge::{Hint, Reference};
use ring::hmac;
use serde::Deserialize;

use crate::repository::RepositoryName;

/// What webhooks are signed with; never shown.
#[derive(Clone)]
pub struct WebhookSecret(hmac::Key);

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

impl WebhookSecret {
    /// Nothing when it is empty: everybody can sign with that.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())))
    }
}

/// A request as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// `X-GitHub-Event`.
    pub event: &'a str,
    /// `X-GitHub-Delivery`.
    pub delivery: &'a str,
    /// `X-Hub-Signature-256`.
    pub signature: &'a str,
    /// The body, byte by byte as it came.
    pub body: &'a [u8],
}

/// What a webhook is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its id: one that was seen before is to be answered with 200 and not acted on.
    pub delivery: Box<str>,
    /// The repository that it speaks of; the `ping` of an organisation speaks of none.
    pub repository: Option<RepositoryName>,
    /// What has changed; empty for what musher does not watch. Issues are named without the repository.
    pub hints: Vec<Hint>,
}

/// Why a webhook is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// 401.
    #[error("the signature is missing or wrong")]
    Signature,
    /// 413.
    #[error("the webhook is longer than {} MiB", LONGEST >> 20)]
    TooLong,
    /// 400.
    #[error("the webhook is not as GitHub describes it")]
    Strange,
}

impl Rejected {
    /// The status to answer with.
    pub const fn status(self) -> u16 {
        match self {
            Self::Signature => 401,
            Self::TooLong => 413,
            Self::Strange => 400,
        }
    }

    /// The stable word for it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Signature => "bad_signature",
            Self::TooLong => "too_large",
            Self::Strange => "not_a_webhook",
        }
    }

    /// How to fix it.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::Signature => "set the same secret on the forge and in `forge.webhook`",
            Self::TooLong => "let the forge send the events that musher watches, and no others",
            Self::Strange => "set the content type of the webhook to `application/json`",
        }
    }
}

/// Verifies a webhook, and only then reads it.
///
/// # Errors
/// What is wrong with it; nothing of its content.
pub fn read(secret: &WebhookSecret, received: Received) -> Result<Sent, Rejected> {
    if received.body.len() > LONGEST {
        return Err(Rejected::TooLong);
    }
    let tag = tag_of(received.signature).ok_or(Rejected::Signature)?;
    hmac::verify(&secret.0, received.body, &tag).map_err(|_| Rejected::Signature)?;
    let delivery = received.delivery;
    let is_id = !delivery.is_empty()
        && delivery.len() <= 64
        && delivery.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let payload: Payload = serde_json::from_slice(received.body).map_err(|_| Rejected::Strange)?;
    let named = payload.repository.as_ref();
    let repository = named.map(|named| RepositoryName::parse(&named.full_name).ok_or(Rejected::Strange)).transpose()?;
    if !is_id || (repository.is_none() && received.event != PING) {
        return Err(Rejected::Strange);
    }
    Ok(Sent { delivery: delivery.into(), repository, hints: payload.hints(received.event) })
}

/// Whether a text has the form of a signature: nothing else need be read of a request without one.
pub fn is_signature(text: &str) -> bool {
    tag_of(text).is_some()
}

/// What a signature says the body's tag is.
fn tag_of(signature: &str) -> Option<[u8; 32]> {
    let hex = signature.strip_prefix("sha256=").filter(|hex| hex.len() == 64)?;
    let mut tag = [0_u8; 32];
    for (byte, digits) in tag.iter_mut().zip(hex.as_bytes().chunks(2)) {
        // `from_str_radix` would take a sign.
        let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(tag)
}

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    repository: Option<Repository>,
    #[serde(default)]
    pull_request: Option<Numbered>,
    #[serde(default)]
    issue: Option<Issue>,
    #[serde(default)]
    check_run: Option<OfHead>,
    #[serde(default)]
    check_suite: Option<OfHead>,
    #[serde(default)]
    workflow_run: Option<OfHead>,
    /// Of a status.
    #[serde(default)]
    sha: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Deserialize)]
struct Numbered {
    number: u64,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    /// There when it is a pull request.
    #[serde(default)]
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct OfHead {
    head_sha: String,
}

impl Payload {
    fn hints(&self, event: &str) -> Vec<Hint> {
        let pull = || self.pull_request.as_ref().map(|pull| Hint::Pull(pull.number));
        let head = |of: &Option<OfHead>| of.as_ref().and_then(|of| commit(&of.head_sha));
        let hint = match event {
            "pull_request" | "pull_request_review" | "pull_request_review_comment" | "pull_request_review_thread" => {
                pull()
            }
            "check_run" => head(&self.check_run),
            "check_suite" => head(&self.check_suite),
            "workflow_run" => head(&self.workflow_run),
            "status" => self.sha.as_deref().and_then(commit),
            "issues" | "issue_comment" => self.issue.as_ref().map(|issue| match issue.pull_request {
                Some(_) => Hint::Pull(issue.number),
                None => Hint::Issue(Reference { repo: None, number: issue.number }),
            }),
            // `ping`, and what musher does not watch.
            _ => None,
        };
        hint.into_iter().collect()
    }
}

fn commit(sha: &str) -> Option<Hint> {
    let good = matches!(sha.len(), 40 | 64) && sha.bytes().all(|b| b.is_ascii_hexdigit());
    good.then(|| Hint::Commit(sha.into()))
}

/// The longest webhook, in bytes. What GitHub describes of the events that are watched is far shorter.
pub const LONGEST: usize = 4 << 20;

/// The event that a forge sends to try the way.
const PING: &str = "ping";

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "0123456789012345678901234567890123456789";

    fn signed(secret: &str, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let hex: String = hmac::sign(&key, body.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
        format!("sha256={hex}")
    }

    fn received<'a>(event: &'a str, signature: &'a str, body: &'a str) -> Received<'a> {
        Received { event, delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958", signature, body: body.as_bytes() }
    }

    /// A right signature lets the body through to its parser, which finds no JSON.
    fn verified(secret: &WebhookSecret, signature: &str, body: &[u8]) -> bool {
        let sent = read(secret, Received { body, ..received("ping", signature, "") });
        sent == Err(Rejected::Strange)
    }

    /// The example of GitHub's own documentation.
    #[test]
    fn a_signature_is_what_githubs_documentation_says() {
        let secret = WebhookSecret::new("It's a Secret to Everybody").unwrap();
        let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(verified(&secret, good, b"Hello, World!"));
        let bad = [
            "",
            "sha256=",
            "sha1=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e18",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1",
            "sha256=+57107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            "sha256=é57107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1",
        ];
        for signature in bad {
            assert!(!verified(&secret, signature, b"Hello, World!"), "{signature}");
        }
        assert!(!verified(&secret, good, b"Hello, World?"));
        assert!(WebhookSecret::new(" ").is_none());
        assert_eq!(format!("{secret:?}"), "WebhookSecret(…)");
    }

    #[test]
    fn each_event_says_only_where_to_look() {
        let head = |key: &str| format!(r#""{key}":{{"head_sha":"{SHA}"}}"#);
        let pull = || r#""pull_request":{"number":7}"#.to_owned();
        let of_issue = |n: u64| Hint::Issue(Reference { repo: None, number: n });
        let cases = [
            ("pull_request", pull(), Some(Hint::Pull(7))),
            ("pull_request_review", pull(), Some(Hint::Pull(7))),
            ("pull_request_review_comment", pull(), Some(Hint::Pull(7))),
            ("pull_request_review_thread", pull(), Some(Hint::Pull(7))),
            ("check_run", head("check_run"), Some(Hint::Commit(SHA.into()))),
            ("check_suite", head("check_suite"), Some(Hint::Commit(SHA.into()))),
            ("workflow_run", head("workflow_run"), Some(Hint::Commit(SHA.into()))),
            ("status", format!(r#""sha":"{SHA}""#), Some(Hint::Commit(SHA.into()))),
            ("issues", r#""issue":{"number":3}"#.to_owned(), Some(of_issue(3))),
            ("issue_comment", r#""issue":{"number":3}"#.to_owned(), Some(of_issue(3))),
            ("issue_comment", r#""issue":{"number":7,"pull_request":{"url":"x"}}"#.to_owned(), Some(Hint::Pull(7))),
            ("ping", r#""zen":"Keep it logically awesome.""#.to_owned(), None),
            ("status", r#""sha":"main; rm -rf /""#.to_owned(), None),
            ("check_run", r#""check_run":{"head_sha":"../../etc"}"#.to_owned(), None),
            ("push", pull(), None),
        ];
        let secret = WebhookSecret::new("s").unwrap();
        for (event, part, expected) in cases {
            let body = format!(r#"{{"repository":{{"full_name":"octo/hello"}},{part}}}"#);
            let sent = read(&secret, received(event, &signed("s", &body), &body)).unwrap();
            assert_eq!(sent.hints, expected.into_iter().collect::<Vec<_>>(), "{event} {part}");
            assert_eq!(sent.repository.map(|name| name.to_string()).as_deref(), Some("octo/hello"));
        }
    }

    #[test]
    fn nothing_is_read_of_what_is_not_signed_and_nothing_strange_panics() {
        let secret = WebhookSecret::new("s").unwrap();
        let body = r#"{"repository":{"full_name":"octo/hello"}}"#;
        assert_eq!(read(&secret, received("ping", &signed("other", body), body)), Err(Rejected::Signature));
        assert_eq!(read(&secret, received("ping", "", "not even json")), Err(Rejected::Signature));
        let elsewhere = r#"{"repository":{"full_name":"../../x"}}"#;
        for body in ["", "[]", "{}", "null", "payload=%7B%7D", elsewhere, &"[".repeat(100_000)] {
            assert_eq!(
                read(&secret, received("issues", &signed("s", body), body)),
                Err(Rejected::Strange),
                "{body:.40}"
            );
        }
        let of_organisation = r#"{"zen":"Keep it logically awesome.","organization":{"login":"octo"}}"#;
        let sent = read(&secret, received("ping", &signed("s", of_organisation), of_organisation)).unwrap();
        assert_eq!((sent.repository, sent.hints), (None, vec![]));
        let signature = signed("s", body);
        let odd = Received { delivery: "a b", ..received("ping", &signature, body) };
        assert_eq!(read(&secret, odd), Err(Rejected::Strange), "an id that is none cannot be kept");
    }
}
