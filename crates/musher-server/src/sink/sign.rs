//! Signatures of webhooks: who sent it, and when.

use std::fmt::Write;

use ring::hmac;

/// What webhooks are signed with; never shown.
#[derive(Clone)]
pub(super) struct Secret(hmac::Key);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    pub(super) fn new(text: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))
    }

    /// The value of `X-Musher-Signature`: HMAC-SHA256 of the seconds, a full stop and the body.
    ///
    /// The seconds are part of it, so that nobody can send an old request again as a new one.
    pub(super) fn signature(&self, seconds: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(seconds.to_string().as_bytes());
        context.update(b".");
        context.update(body);
        let mut text = String::from("sha256=");
        for byte in context.sign().as_ref() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `printf '1769850000.{"seq":1}' | openssl dgst -sha256 -hmac 'It is a secret'`.
    #[test]
    fn a_signature_is_what_openssl_says() {
        let secret = Secret::new("It is a secret");
        let signed = secret.signature(1_769_850_000, br#"{"seq":1}"#);
        assert_eq!(signed, "sha256=0e0cce934a86516c175e8a6770ce26b682759d0420420cefd21eb6ef6746fce0");
        assert_ne!(secret.signature(1_769_850_001, br#"{"seq":1}"#), signed, "another moment");
        assert_ne!(secret.signature(1_769_850_000, br#"{"seq":2}"#), signed, "another body");
        assert_ne!(Secret::new("It is another").signature(1_769_850_000, br#"{"seq":1}"#), signed, "another secret");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
