//! What can go wrong between musher and a forge, by what is to be done about it.

use musher_core::time::Timestamp;

/// Why a forge did not do what it was asked.
///
/// [`Limited`](Self::Limited) and [`Unavailable`](Self::Unavailable) pass by themselves; the others need someone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// It asks to be left alone until then; nothing is wrong.
    #[error("the forge's rate limit is reached: {what}")]
    Limited {
        /// When it may be asked again.
        until: Timestamp,
        /// Which limit, in words.
        what: String,
    },
    /// It cannot be reached, or it is ill: a fault of the network, an answer of 5xx.
    #[error("the forge cannot be reached: {what}")]
    Unavailable {
        /// What happened.
        what: String,
    },
    /// The token is not good, or may not do this.
    #[error("the forge refuses: {what}")]
    Refused {
        /// What it said.
        what: String,
        /// How to mend it: which scope, which permission.
        fix: String,
    },
    /// There is no such thing, or the token may not see it; forges do not tell these apart.
    #[error("the forge has no {what}, or the token may not see it")]
    Missing {
        /// What was asked for.
        what: String,
    },
    /// It was there and is not any more: 410.
    #[error("{what} was deleted on the forge")]
    Gone {
        /// What was asked for.
        what: String,
    },
    /// It understood, and cannot do it as asked: 400, 422.
    #[error("the forge does not accept it: {what}")]
    Invalid {
        /// What it said.
        what: String,
    },
    /// The state of the thing forbids it: not mergeable, the head has moved. 405, 409.
    #[error("the forge cannot do it as things stand: {what}")]
    Conflict {
        /// What it said.
        what: String,
    },
    /// Its answer is not what a forge answers: no JSON, too long, a page on another host.
    #[error("the forge's answer makes no sense: {what}")]
    Strange {
        /// What is wrong with it.
        what: String,
    },
}

impl ForgeError {
    /// How to mend it.
    pub fn fix(&self) -> String {
        match self {
            Self::Limited { .. } => "nothing: it is asked again when the limit allows".to_owned(),
            Self::Unavailable { .. } => "nothing: it is asked again; look at the network if it lasts".to_owned(),
            Self::Refused { fix, .. } => fix.clone(),
            Self::Missing { .. } => {
                "check the name, and that the token may read the repository (`repo`, or Contents, Issues, Pull requests)"
                    .to_owned()
            }
            Self::Gone { .. } => "take it out of the mission".to_owned(),
            Self::Invalid { .. } | Self::Conflict { .. } => "look at it on the forge".to_owned(),
            Self::Strange { .. } => "check `forge.api`: it must be the address of the API, not of the site".to_owned(),
        }
    }

    /// Whether it may be asked again without anyone having done anything.
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Limited { .. } | Self::Unavailable { .. })
    }

    pub(crate) fn strange(what: impl Into<String>) -> Self {
        Self::Strange { what: what.into() }
    }

    pub(crate) fn unavailable(what: impl Into<String>) -> Self {
        Self::Unavailable { what: what.into() }
    }
}
