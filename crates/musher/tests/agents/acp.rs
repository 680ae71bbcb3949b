//! The smallest client of the Agent Client Protocol: one session, one prompt, everything is allowed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout};

use serde_json::{Value, json};

/// A conversation with an agent's process.
struct Talk<'a> {
    child: &'a mut Child,
    out: BufReader<ChildStdout>,
    requests: u64,
}

/// Has the agent do one prompt; answers with the result of `session/prompt`, or what was refused.
pub(crate) fn prompt(child: &mut Child, folder: &Path, text: &str) -> Result<Value, String> {
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut talk = Talk { child, out, requests: 0 };
    let capabilities = json!({"fs": {"readTextFile": false, "writeTextFile": false}, "terminal": false});
    talk.ask("initialize", json!({"protocolVersion": 1, "clientCapabilities": capabilities}))?;
    let session = talk.ask("session/new", json!({"cwd": folder, "mcpServers": []}))?;
    let prompt = json!([{"type": "text", "text": text}]);
    talk.ask("session/prompt", json!({"sessionId": session["sessionId"], "prompt": prompt}))
}

impl Talk<'_> {
    /// Asks, and answers what the agent asks meanwhile.
    fn ask(&mut self, method: &str, params: Value) -> Result<Value, String> {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let mut line = String::new();
            if self.out.read_line(&mut line).unwrap() == 0 {
                return Err(format!("the agent ended before it answered `{method}`"));
            }
            let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
            if message.get("method").is_none() && message["id"] == id {
                return match message.get("error") {
                    Some(error) => Err(format!("`{method}`: {error}")),
                    None => Ok(message["result"].clone()),
                };
            }
            self.answer(&message);
        }
    }

    fn answer(&mut self, message: &Value) {
        let Some(id) = message.get("id").filter(|_| message.get("method").is_some()) else { return };
        let reply = if message["method"] == "session/request_permission" {
            // The ids differ from agent to agent, the kinds do not.
            let options = message["params"]["options"].as_array().unwrap();
            let allow = options.iter().find(|option| option["kind"] == "allow_once").unwrap();
            let outcome = json!({"outcome": "selected", "optionId": allow["optionId"]});
            json!({"jsonrpc": "2.0", "id": id, "result": {"outcome": outcome}})
        } else {
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "not offered"}})
        };
        self.send(&reply);
    }

    fn send(&mut self, message: &Value) {
        let mut input = self.child.stdin.as_ref().unwrap();
        // An agent that is gone is noticed by reading.
        let _ = input.write_all(format!("{message}\n").as_bytes());
    }
}
