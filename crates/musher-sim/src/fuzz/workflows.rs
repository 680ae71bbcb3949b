//! Workflows: what is understood becomes a configuration that holds, with the whole prompt in it; a remark has its line.

use musher_core::config::{self, Config};
use musher_core::workflow;

use super::plans::placed;
use super::{Read, must};
use crate::chance::Chance;

/// Checks a text as a `WORKFLOW.md`.
pub(super) fn holds(_: &str, input: &[u8], _: &mut Chance) -> Result<Read, String> {
    let read = workflow::read("WORKFLOW.md", input, Some("make \"test\""));
    let import = match &read {
        Ok(import) => import,
        Err(problems) => {
            placed(problems, input)?;
            return Ok(Read::Refused);
        }
    };
    let layer = config::parse("musher.toml", import.toml.as_bytes());
    let layer = layer.map_err(|problems| format!("it becomes what cannot be used: {problems}\n{}", import.toml))?;
    let config = Config::resolve([layer]);
    must!(config.project.gate.as_deref() == Some("make \"test\""), "another gate: {:?}", config.project.gate);
    must!(config.agents.len() == 1, "{} agents", config.agents.len());
    let text = String::from_utf8_lossy(input).replace("\r\n", "\n");
    let prompt = config.project.prompt.unwrap_or_default();
    must!(text.trim_end().ends_with(prompt.trim_end()), "another prompt: {prompt:?}");
    let lines = text.split('\n').count();
    for remark in &import.remarks {
        must!((1..=lines).contains(&remark.line), "no such line: {remark:?}");
        must!(!remark.what.is_empty() && remark.key.len() < 1_000, "a remark of no use: {remark:?}");
    }
    Ok(Read::Understood)
}
