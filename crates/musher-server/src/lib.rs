//! The HTTP API of musher, its OpenAPI description, and the one typed client of it.
//!
//! Handlers decide nothing: they turn a request into a command for the engine, or into a look at the state, and an
//! answer into a document. Open [`api`] for the documents that scripts rely on, [`view`] for how they are made from the
//! state, [`routes`] for the paths, [`serve`] for who may call them, [`client`] for the caller's side. Events that are sent
//! rather than asked for are the sinks' business (`sink`).

// A problem document is as large as it is to be told whole; it ends its request, so its size never matters.
#![allow(clippy::result_large_err)]

pub mod api;
mod app;
mod caller;
pub mod client;
mod extract;
mod http;
mod hub;
mod problem;
mod readers;
mod rejected;
mod resolve;
mod retention;
pub mod routes;
pub mod serve;
mod sink;
mod stream;
mod sys;
mod tail;
mod token;
mod tools;
pub mod view;
mod web;
mod webhook;

pub use app::About;
pub use client::{Client, ClientError};
pub use hub::{Hub, SHORTEST_TOKEN};
pub use rejected::Rejected;
pub use serve::{ServeError, Server};
pub use sink::{Notifier, Rest, SinkSetup, Sinks};
pub use tools::{RelayError, relay};
pub use web::WebDriver;
pub use webhook::{WebhookSetup, Webhooks};
