//! Who comes through the doors: the agent of a run, with the pass of that run.

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use musher_core::id::RunId;
use musher_engine::Passes;

use crate::api::Problem;
use crate::caller::{Peer, Scope, TcpDoor, TcpPeer};
use crate::{sys, token};

/// Lets in who shows the pass of the run that it belongs to.
pub(crate) async fn of_socket(
    State(passes): State<Passes>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    through(&passes, &peer.caller().scope, request, next).await
}

/// The same over TCP, where the system tells whose a connection is, and for no web page.
pub(crate) async fn of_tcp(
    State((passes, door)): State<(Passes, TcpDoor)>,
    ConnectInfo(peer): ConnectInfo<TcpPeer>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(problem) = token::is_no_page(request.headers()) {
        return problem.into_response();
    }
    if !sys::KNOWS_RUNS {
        return Problem::new(403, "not_here", "this system does not tell whose a connection is")
            .fix("`musher mcp` serves the same tools on standard input and output")
            .into_response();
    }
    // Who has no pass is told so before anyone looks through the processes of this machine.
    if shown(&passes, request.headers()).is_none() {
        return no_pass().into_response();
    }
    let scope = peer.scope(door.runs).await;
    through(&passes, &scope, request, next).await
}

async fn through(passes: &Passes, scope: &Scope, mut request: Request, next: Next) -> Response {
    match entered(shown(passes, request.headers()), scope) {
        Ok(run) => {
            request.extensions_mut().insert(run);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn shown(passes: &Passes, headers: &HeaderMap) -> Option<RunId> {
    let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    passes.run(shown.strip_prefix("Bearer ")?)
}

fn no_pass() -> Problem {
    Problem::new(401, "no_pass", "the pass of a run is missing or wrong")
        .fix("musher gives each run its own; the tools are for the agents that it runs")
}

fn entered(pass: Option<RunId>, scope: &Scope) -> Result<RunId, Problem> {
    let run = pass.ok_or_else(no_pass)?;
    let refuse = |why: &str| Err(Problem::new(403, "other_run", "the pass is of another run").why(why));
    match scope {
        Scope::Worker { run: Some(own), .. } if *own == run => Ok(run),
        Scope::Worker { why, .. } | Scope::Stranger(why) => refuse(why),
        Scope::Operator if sys::KNOWS_RUNS => refuse("the calling process belongs to no run"),
        Scope::Operator => Ok(run),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_opens_the_door_to_a_process_of_its_own_run_alone() {
        let (one, two) = (RunId::from_bytes([1; 16]), RunId::from_bytes([2; 16]));
        let worker = |run| Scope::Worker { run, why: "it is somewhere".to_owned() };
        assert_eq!(entered(Some(one), &worker(Some(one))).unwrap(), one);
        for scope in [worker(Some(two)), worker(None), Scope::Stranger("bob".to_owned())] {
            assert_eq!(entered(Some(one), &scope).unwrap_err().code, "other_run", "{scope:?}");
        }
        assert_eq!(entered(Some(one), &Scope::Operator).is_err(), sys::KNOWS_RUNS);
        assert_eq!(entered(None, &worker(Some(one))).unwrap_err().status, 401);
    }
}
