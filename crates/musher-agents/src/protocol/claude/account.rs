//! What Claude Code tells of its account, in a stream of its own or in another's.

use musher_core::time::Timestamp;
use serde_json::Value;

use super::{outcome, text};

/// The state of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum Account {
    /// It works again, or never stopped.
    Good,
    /// It works still.
    NearlyUsedUp,
    /// It does not work until then, if that is told.
    UsedUp { resets_at: Option<Timestamp> },
}

/// Reads a `rate_limit_info`; nothing where it means nothing here.
pub(in crate::protocol) fn of(info: &Value) -> Option<Account> {
    match text(info, "status") {
        // Paid for beyond what the account has: it goes on.
        "rejected" if info["isUsingOverage"] == true => None,
        "rejected" => Some(Account::UsedUp { resets_at: info["resetsAt"].as_f64().and_then(outcome::epoch) }),
        "allowed_warning" => Some(Account::NearlyUsedUp),
        "allowed" => Some(Account::Good),
        _ => None,
    }
}
