//! Deliberately broken machines. A checker that lets one of them pass is worthless.

use clap::ValueEnum;

/// What is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Variant {
    /// Nothing.
    #[default]
    Sound,
    /// A report of a closed effect is taken as the answer to the item's open effect of the same kind.
    NoFence,
    /// Effects are carried out before the commit that decides them.
    EffectBeforeCommit,
    /// Open effects are not issued again after a restart.
    LostOutbox,
    /// A run that is issued again starts a second process instead of attaching to the first.
    DoubleRun,
    /// A crash loses the last committed batch.
    ForgetsAck,
}

impl Variant {
    /// The broken ones.
    pub const BROKEN: [Self; 5] =
        [Self::NoFence, Self::EffectBeforeCommit, Self::LostOutbox, Self::DoubleRun, Self::ForgetsAck];

    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::NoFence => "no-fence",
            Self::EffectBeforeCommit => "effect-before-commit",
            Self::LostOutbox => "lost-outbox",
            Self::DoubleRun => "double-run",
            Self::ForgetsAck => "forgets-ack",
        }
    }
}
