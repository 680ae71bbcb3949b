//! Musher's tools for the agents of running runs: what each takes, what it does, and the two doors to them, both in the
//! Model Context Protocol: the tools' socket, which `musher mcp` relays to, and `/mcp` over TCP.
//!
//! Whoever comes through either door shows the pass of a run, and where the system tells whose a connection is, it must
//! come from within that run: a pass that was found elsewhere opens nothing.

use musher_core::id::CallId;

mod arguments;
mod call;
mod door;
mod mcp;
mod relay;

pub(crate) use door::{of_socket, of_tcp};
pub(crate) use mcp::router;
pub use relay::{RelayError, relay};

/// The path of the protocol.
pub(crate) const PATH: &str = "/mcp";

/// The header that names a use of a tool: one that is repeated under the same name, for its answer was lost, counts once.
pub(crate) const CALL_HEADER: &str = "x-musher-call";

/// The longest message, in bytes.
pub(crate) const LONGEST: usize = 1 << 20;

/// A name that no other use of a tool has.
fn new_call() -> std::io::Result<CallId> {
    let mut bytes = [0u8; 16];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(CallId::from_bytes(bytes))
}

/// The code of an error that says to ask again: the daemon goes, and another will come.
pub(crate) const ASK_AGAIN: i32 = -32_099;
