//! The API as its callers meet it: a real engine and a real store behind a real socket, asked through the client.

#![allow(clippy::unwrap_used)]

mod errors;
mod guard;
mod hub;
mod paths;
mod quotas;
mod shapes;
mod sinks;
mod sockets;
mod streams;
mod tools;
mod webhooks;
mod world;
