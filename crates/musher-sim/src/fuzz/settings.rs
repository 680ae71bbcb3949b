//! Configuration: what holds is shown as a file that means the same; a problem stands in the text that has it.

use musher_core::config::{self, Config, Layer};
use musher_core::problem::Problems;

use super::plans::placed;
use super::{Read, must};
use crate::chance::Chance;

/// Checks a text as a configuration file.
pub(super) fn holds(_: &str, input: &[u8], _: &mut Chance) -> Result<Read, String> {
    let read = config::parse("musher.toml", input);
    match &read {
        Ok(layer) => shown_as_it_is(layer.clone())?,
        Err(problems) => placed(problems, input)?,
    }
    Ok(Read::of(&read))
}

/// Checks a text as environment variables, one a line.
pub(super) fn variables(_: &str, input: &[u8], _: &mut Chance) -> Result<Read, String> {
    let text = String::from_utf8_lossy(input);
    let variables: Vec<(&str, &str)> = text.split('\n').filter_map(|line| line.split_once('=')).collect();
    let read = config::environment(variables.iter().copied());
    match &read {
        Ok(layer) => shown_as_it_is(layer.clone())?,
        Err(problems) => {
            for problem in &problems.shown {
                let name = problem.file.as_deref().unwrap_or_default();
                let one = Problems { shown: vec![problem.clone()], more: 0 };
                let values = variables.iter().filter(|(variable, _)| *variable == name);
                let held = values.map(|(_, value)| placed(&one, value.as_bytes())).reduce(|a, b| a.or(b));
                held.unwrap_or_else(|| Err(format!("a problem of no variable: {problem}")))?;
            }
        }
    }
    Ok(Read::of(&read))
}

fn shown_as_it_is(layer: Layer) -> Result<(), String> {
    let config = Config::resolve([layer]);
    let shown = config.to_toml();
    let again = config::parse("shown", shown.as_bytes()).map(|layer| Config::resolve([layer]));
    must!(again.as_ref() == Ok(&config), "it is shown as another one: {config:?}\n{again:?}\n{shown}");
    Ok(())
}
