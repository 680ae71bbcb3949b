//! Whether the programs of agents are there: looked at before an item bounces off one that is not.

use musher_core::agent::Agent;
use musher_core::command::{Actor, Command};
use musher_core::id::AgentId;

use crate::driver::Program;
use crate::engine::{Engine, EngineError};

/// Looks for the programs of all agents that work on this machine, one after the other.
///
/// # Errors
/// What was found cannot be written down.
pub async fn check_all(engine: &Engine) -> Result<(), EngineError> {
    let ids: Vec<AgentId> = engine.read(|state| state.agents().filter(|a| is_here(a)).map(|a| a.id).collect()).await?;
    for id in ids {
        check(engine, id).await?;
    }
    Ok(())
}

/// Looks for the program of an agent, and marks the agent as broken when it is missing and as mended when it is there
/// again. An agent of another machine is left alone, and so is one that is broken in another way.
///
/// # Errors
/// What was found cannot be written down.
pub async fn check(engine: &Engine, id: AgentId) -> Result<(), EngineError> {
    let here = engine.read(move |state| state.agent(id).filter(|agent| is_here(agent)).cloned()).await?;
    let Some(agent) = here else { return Ok(()) };
    let root = engine.paths().root.clone();
    let problem = match engine.drivers().runs.look(root, agent.spec, agent.error.clone()).await {
        Program::Missing(why) if agent.error.as_ref() != Some(&why) => Some(why),
        Program::There { mended: true } => None,
        Program::Missing(_) | Program::There { mended: false } | Program::Unknown => return Ok(()),
    };
    match engine.send(Actor::Musher, Command::AgentChecked(id, problem)).await {
        // It was removed meanwhile.
        Ok(_) | Err(EngineError::Refused(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_here(agent: &Agent) -> bool {
    !agent.removed && agent.spec.node.is_none()
}
