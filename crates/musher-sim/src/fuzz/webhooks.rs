//! Webhooks: nothing is read of what is not signed, and what is signed says only where to look.

use musher_core::forge::{Hint, Reference};
use musher_forge::webhook::{Received, Rejected, WebhookSecret, is_signature, read};
use ring::hmac;

use super::{Read, must};
use crate::chance::Chance;

const SECRET: &str = "It's a Secret to Everybody";

/// The events that musher watches, and two that it does not.
const EVENTS: [&str; 12] = [
    "check_run",
    "check_suite",
    "issue_comment",
    "issues",
    "ping",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_review_thread",
    "push",
    "status",
    "workflow_run",
];

/// Checks a body, under each event, signed and not.
pub(super) fn holds(_: &str, body: &[u8], chance: &mut Chance) -> Result<Read, String> {
    let secret = WebhookSecret::new(SECRET).ok_or("the secret is empty")?;
    let signature = sign(body);
    must!(is_signature(&signature), "{signature} is no signature");
    let mut understood = false;
    for event in EVENTS {
        let received = Received { event, delivery: "0a-1", signature: &signature, body };
        match read(&secret, received) {
            Ok(sent) => {
                understood |= !sent.hints.is_empty();
                must!(sent.hints.len() <= 1, "{event} hints at {:?}", sent.hints);
                must!(sent.repository.is_some() || event == "ping", "{event} is of no repository");
                for hint in sent.hints {
                    must!(is_plain(&hint), "{event} hints at {hint:?}");
                }
            }
            Err(rejected) => must!(rejected == Rejected::Strange, "{event} is signed, and is turned away: {rejected}"),
        }
        let mut forged = body.to_vec();
        match chance.below(forged.len() as u64 + 1) as usize {
            at if at < forged.len() => forged[at] ^= 1 << chance.below(8),
            _ => forged.push(b' '),
        }
        let received = Received { event, delivery: "0a-1", signature: &signature, body: &forged };
        must!(read(&secret, received) == Err(Rejected::Signature), "{event} passes with a byte changed");
    }
    // The same bytes as a signature.
    let text = String::from_utf8_lossy(body);
    let received = Received { event: "ping", delivery: "0a-1", signature: &text, body };
    must!(read(&secret, received) == Err(Rejected::Signature), "anything is a signature");
    Ok(if understood { Read::Understood } else { Read::Refused })
}

fn is_plain(hint: &Hint) -> bool {
    match hint {
        Hint::Pull(_) | Hint::Issue(Reference { repo: None, .. }) => true,
        Hint::Issue(Reference { repo: Some(_), .. }) => false,
        Hint::Commit(sha) => matches!(sha.len(), 40 | 64) && sha.bytes().all(|byte| byte.is_ascii_hexdigit()),
    }
}

fn sign(body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag: String = hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={tag}")
}
