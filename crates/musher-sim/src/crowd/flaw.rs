//! Deliberately broken crowds: one a rule. A judge that lets one of them pass is worthless.

use clap::ValueEnum;

/// What is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Flaw {
    /// Nothing.
    #[default]
    None,
    /// Missions share as if all had the same weight.
    DropsWeights,
    /// All items are as urgent as any other.
    DropsPriorities,
    /// A quota that is lowered is acknowledged and not heard.
    DropsLowered,
    /// A quota that is raised is acknowledged and not heard.
    DropsRaised,
    /// The days of quotas end at midnight UTC.
    DaysInUtc,
    /// What works under a quota that is used up is never told to stop.
    LosesStops,
    /// When an account is free again is not heard.
    ForgetsResets,
    /// An account that is used up is held to be the agent's failure.
    BlamesLimits,
    /// Items are given up one failure too early.
    GivesUpEarly,
    /// Nodes that have vanished are taken to be there.
    HearsTheVanished,
    /// Now and then an item that an agent has is given to another as well.
    GivesTwice,
}

impl Flaw {
    /// The broken ones.
    pub const BROKEN: [Self; 11] = [
        Self::DropsWeights,
        Self::DropsPriorities,
        Self::DropsLowered,
        Self::DropsRaised,
        Self::DaysInUtc,
        Self::LosesStops,
        Self::ForgetsResets,
        Self::BlamesLimits,
        Self::GivesUpEarly,
        Self::HearsTheVanished,
        Self::GivesTwice,
    ];

    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::DropsWeights => "drops-weights",
            Self::DropsPriorities => "drops-priorities",
            Self::DropsLowered => "drops-lowered",
            Self::DropsRaised => "drops-raised",
            Self::DaysInUtc => "days-in-utc",
            Self::LosesStops => "loses-stops",
            Self::ForgetsResets => "forgets-resets",
            Self::BlamesLimits => "blames-limits",
            Self::GivesUpEarly => "gives-up-early",
            Self::HearsTheVanished => "hears-the-vanished",
            Self::GivesTwice => "gives-twice",
        }
    }
}
