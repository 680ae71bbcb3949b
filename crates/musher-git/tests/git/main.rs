//! Real git over real repositories. Beside each thing that is accepted stands its refusal, which changes nothing.

#![allow(clippy::unwrap_used)]

mod attic;
mod batching;
mod conflicts;
mod inspecting;
mod killing;
mod landing;
mod merging;
mod opening;
mod pushing;
mod removing;
mod sandbox;
mod warming;
mod worktrees;
