//! A GitHub on loopback, for tests and for trying things out; never shipped.
//!
//! It is a state machine: branches move, checks run, reviews come, merges land (in a real bare repository where it is
//! given one), webhooks are signed. Every request is checked against GitHub's published OpenAPI description and GraphQL
//! schema, which `scripts/github` installs; every answer of its own is filled in from the same description and checked
//! against it, so that it cannot be a GitHub that does not exist. See [`Fake`] and [`World`].

mod description;
mod git;
mod graphql;
mod hook;
mod rest;
mod schema;
mod server;
mod show;
mod wanted;
mod world;

pub use description::Description;
pub use hook::Delivery;
pub use server::{Fake, Fault, Seen};
pub use wanted::without_descriptions;
pub use world::{Check, Ci, Comment, Issue, Person, Pull, Push, Repo, Review, Thread, Workflow, World};
