//! Webhooks, as GitHub signs them.

use ring::hmac;
use serde_json::Value;

/// A webhook that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// `X-GitHub-Event`.
    pub event: String,
    /// `X-GitHub-Delivery`.
    pub id: String,
    /// `X-Hub-Signature-256`.
    pub signature: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Delivery {
    /// Its headers.
    pub fn headers(&self) -> [(&'static str, &str); 4] {
        [
            ("x-github-event", &self.event),
            ("x-github-delivery", &self.id),
            ("x-hub-signature-256", &self.signature),
            ("content-type", "application/json"),
        ]
    }
}

pub(crate) fn sign(secret: &str, number: u64, event: String, payload: &Value) -> Delivery {
    let body = payload.to_string().into_bytes();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag: String = hmac::sign(&key, &body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Delivery { event, id: format!("72d3162e-cc78-11e3-81ab-{number:012x}"), signature: format!("sha256={tag}"), body }
}
