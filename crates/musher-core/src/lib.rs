//! The rules of musher.
//!
//! Everything that musher decides is decided here, by [`step::step`]: a pure function of the state, a command, the
//! present moment and a seed. It answers with a [`change::Change`]: rows, events and effects, which the caller
//! writes in one transaction. This crate never does I/O, never reads a clock and never draws a random number; it has no
//! dependency that could, and clippy refuses the standard library's calls that would.
//!
//! Open [`step`] first (a line a command), then the noun that you want to change: [`item`] and [`mission`] hold the two
//! state tables, [`dispatch`] the routing, [`retry`] the backoff, [`merge`] the queue, [`wait`] what `explain` says.

pub mod action;
pub mod agenda;
pub mod agent;
pub mod approval;
pub mod change;
pub mod command;
pub mod config;
pub mod dispatch;
pub mod effect;
pub mod entropy;
pub mod event;
pub mod firing;
pub mod forge;
pub mod help;
pub mod host;
pub mod hub;
pub mod id;
pub mod inbox;
pub mod item;
pub mod merge;
pub mod message;
pub mod mission;
pub mod nearest;
pub mod node;
pub mod note;
pub mod orphan;
pub mod plan;
pub mod price;
pub mod problem;
pub mod prompt;
pub mod pull;
pub mod quota;
pub mod quote;
pub mod relay;
pub mod retry;
pub mod review;
pub mod run;
pub mod schedule;
pub mod sink;
pub mod state;
pub mod step;
pub mod time;
pub mod tool;
pub mod trigger;
pub mod verify;
pub mod wait;
pub mod watch;
pub mod webhook;
pub mod workflow;
