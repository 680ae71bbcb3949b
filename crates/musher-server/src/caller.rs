//! Who calls, and what that caller may do.
//!
//! Over the socket a caller is the user who owns it, by name; a process that an agent started has worker scope, whatever
//! it says of itself and whatever token it shows: it may read and nothing else. Otherwise an agent could approve its
//! own work.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, FromRequestParts, Request, State as Shared};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use musher_core::command::Actor;
use musher_core::id::RunId;
use tokio::sync::OnceCell;

use crate::api::Problem;
use crate::serve::{Guarded, Tcp};
use crate::sys;
use crate::token::{self, Token};

/// The header by which an operator's program says for whom it speaks.
pub(crate) const ACTOR_HEADER: &str = "x-musher-actor";
/// The longest name that it may give, in bytes.
const LONGEST_NAME: usize = 64;

/// What a caller may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything.
    Operator,
    /// Reading only, for this reason.
    Worker {
        /// The run that it belongs to, where that is known.
        run: Option<RunId>,
        /// How that is known, or why it is taken for one.
        why: String,
    },
    /// Nothing, for this reason.
    Stranger(String),
}

impl Scope {
    /// A worker of no known run.
    pub(crate) fn worker(why: impl Into<String>) -> Self {
        Self::Worker { run: None, why: why.into() }
    }
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) name: Box<str>,
    pub(crate) scope: Scope,
}

impl Caller {
    /// Who this is in events.
    pub(crate) fn actor(&self) -> Actor {
        Actor::Operator(self.name.clone())
    }

    /// Lets the caller read, and an operator do anything.
    pub(crate) fn may(&self, method: &Method) -> Result<(), Problem> {
        match &self.scope {
            Scope::Operator => Ok(()),
            Scope::Worker { .. } if *method == Method::GET || *method == Method::HEAD => Ok(()),
            Scope::Worker { why, .. } => Err(Problem::new(403, "worker_scope", "an agent may only read")
                .why(why.clone())
                .fix("ask the operator; to a person the same command is open from a terminal of their own")),
            Scope::Stranger(why) => {
                Err(Problem::new(403, "stranger", "the socket is for its owner only").why(why.clone()))
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Both listeners put one in; without it nobody is trusted.
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::new(403, "stranger", "nobody knows who calls"))
    }
}

/// Who is at the other end of a socket, as the kernel says.
#[derive(Clone, Debug)]
pub(crate) struct Peer(Caller);

impl Peer {
    /// Who it is.
    pub(crate) fn caller(&self) -> &Caller {
        &self.0
    }
}

impl Connected<IncomingStream<'_, Guarded>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Guarded>) -> Self {
        let runs = stream.remote_addr().runs.clone();
        Self(match stream.io().peer_cred() {
            Ok(cred) => sys::caller(cred.uid(), cred.pid(), &runs),
            Err(error) => Caller {
                name: "unknown".into(),
                scope: Scope::Stranger(format!("the kernel does not say who calls: {error}")),
            },
        })
    }
}

/// Puts the caller of a socket into the request, and refuses what they may not do.
pub(crate) async fn of_socket(
    ConnectInfo(Peer(mut caller)): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    if caller.scope == Scope::Operator
        && let Some(name) = stated_name(request.headers())
    {
        caller.name = name;
    }
    if let Err(problem) = caller.may(request.method()) {
        return problem.into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// The name in the header, if it is one that may stand in a log.
fn stated_name(headers: &HeaderMap) -> Option<Box<str>> {
    let name = headers.get(ACTOR_HEADER)?.to_str().ok()?.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@ ".contains(c);
    (!name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(plain)).then(|| name.into())
}

/// Both ends of a connection over TCP.
#[derive(Clone, Debug)]
pub(crate) struct TcpPeer {
    ends: Option<(SocketAddr, SocketAddr)>,
    /// What the process at the other end may do; looked up once a connection, and only for whoever has the token.
    scope: Arc<OnceCell<Scope>>,
}

impl Connected<IncomingStream<'_, Tcp>> for TcpPeer {
    fn connect_info(stream: IncomingStream<'_, Tcp>) -> Self {
        let io = stream.io();
        Self { ends: io.peer_addr().ok().zip(io.local_addr().ok()), scope: Arc::default() }
    }
}

impl TcpPeer {
    /// What it may do, the token apart.
    pub(crate) async fn scope(&self, runs: PathBuf) -> Scope {
        let gone = || Scope::worker("nobody knows who calls");
        let Some((peer, own)) = self.ends else { return gone() };
        let look = async || {
            let looked = tokio::task::spawn_blocking(move || sys::scope_over_tcp(peer, own, &runs)).await;
            looked.unwrap_or_else(|_| gone())
        };
        self.scope.get_or_init(look).await.clone()
    }
}

/// What the TCP listener knows.
#[derive(Clone, Debug)]
pub(crate) struct TcpDoor {
    pub(crate) token: Token,
    /// The folder of run folders.
    pub(crate) runs: PathBuf,
}

/// Lets a request over TCP in if it shows the token and comes from no web page. An agent that has read the token is an
/// agent all the same.
pub(crate) async fn of_tcp(
    Shared(door): Shared<TcpDoor>,
    ConnectInfo(peer): ConnectInfo<TcpPeer>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Err(problem) = token::check(&door.token, request.headers()) {
        return problem.into_response();
    }
    let caller = Caller { name: "token".into(), scope: peer.scope(door.runs).await };
    if let Err(problem) = caller.may(request.method()) {
        return problem.into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_reads_and_does_nothing_else_and_a_stranger_not_even_that() {
        let caller = |scope| Caller { name: "ann".into(), scope };
        let worker = caller(Scope::worker("run 1"));
        assert!(worker.may(&Method::GET).is_ok());
        assert_eq!(worker.may(&Method::POST).unwrap_err().code, "worker_scope");
        assert_eq!(worker.may(&Method::DELETE).unwrap_err().status, 403);
        assert!(caller(Scope::Operator).may(&Method::POST).is_ok());
        assert_eq!(caller(Scope::Stranger(String::new())).may(&Method::GET).unwrap_err().code, "stranger");
    }

    #[test]
    fn a_stated_name_is_plain_and_short_or_nothing() {
        let named = |name: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACTOR_HEADER, name.parse().unwrap());
            stated_name(&headers)
        };
        assert_eq!(named("ann@desk").as_deref(), Some("ann@desk"));
        for refused in ["", "a:b", "run:1234", &"x".repeat(65)] {
            assert_eq!(named(refused), None, "{refused}");
        }
    }
}
