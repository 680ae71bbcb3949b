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
    /// A landing that is issued again lands again.
    DoubleLand,
    /// A restart forgets what items depend on.
    ForgetsDependencies,
    /// A restart forgets how much agents and missions may have at work.
    ForgetsLimits,
    /// A restart forgets what was used, and what operators have set.
    ForgetsQuotas,
    /// A restart forgets which nodes are silent.
    ForgetsSilence,
    /// The cursor of a sink is moved before the delivery, and not after it.
    AdvancesFirst,
}

impl Variant {
    /// The broken ones.
    pub const BROKEN: [Self; 11] = [
        Self::NoFence,
        Self::EffectBeforeCommit,
        Self::LostOutbox,
        Self::DoubleRun,
        Self::ForgetsAck,
        Self::DoubleLand,
        Self::ForgetsDependencies,
        Self::ForgetsLimits,
        Self::ForgetsQuotas,
        Self::ForgetsSilence,
        Self::AdvancesFirst,
    ];

    /// Whether its rows differ from those on disk by design, so that only what is seen from outside can judge it.
    pub const fn rewrites_rows(self) -> bool {
        matches!(self, Self::ForgetsDependencies | Self::ForgetsLimits)
    }

    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::NoFence => "no-fence",
            Self::EffectBeforeCommit => "effect-before-commit",
            Self::LostOutbox => "lost-outbox",
            Self::DoubleRun => "double-run",
            Self::ForgetsAck => "forgets-ack",
            Self::DoubleLand => "double-land",
            Self::ForgetsDependencies => "forgets-dependencies",
            Self::ForgetsLimits => "forgets-limits",
            Self::ForgetsQuotas => "forgets-quotas",
            Self::ForgetsSilence => "forgets-silence",
            Self::AdvancesFirst => "advances-first",
        }
    }
}
