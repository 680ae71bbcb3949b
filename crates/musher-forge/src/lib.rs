//! Forges: GitHub's issues, pull requests, checks, reviews, merges and webhooks, behind a trait that others can follow.
//!
//! [`Forge`] says what a forge can do; [`GitHub`] does it. [`driver`] carries out effects with it, [`webhook`] verifies what
//! a forge sends by itself, and [`trust`] decides whose words reach an agent.

mod cache;
mod client;
pub mod driver;
mod error;
mod forge;
mod github;
mod http;
mod limit;
mod repository;
mod token;
pub mod trust;
pub mod webhook;

pub use client::{Clock, Spent};
pub use error::ForgeError;
pub use forge::{
    Author, Check, Comment, Forge, Issue, Look, Merge, MergeHow, Method, NewPull, NewReview, Permission, Pull,
    PullChange, PullState, Reply, Repository, Rerun, Review, Rules, Thread, Verdict,
};
pub use github::GitHub;
pub use repository::{ApiBase, RepositoryName};
pub use token::{Token, find as find_token};
