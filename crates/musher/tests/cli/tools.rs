//! Musher's tools in the hands of a scripted agent, with and without a sandbox: what it does with them, over a daemon
//! that is killed. Real programs are tested in `tests/agents`.

use std::process::Command;

use crate::harness::Repo;

/// A program that speaks the Agent Client Protocol and uses what it is given in `mcpServers`.
const AGENT: &str = r#"
say() { printf '%s\n' "$1"; }
id() { printf '%s' "$1" | sed -n 's/.*"id":\("\{0,1\}[^,"}]*"\{0,1\}\).*/\1/p'; }
value() { printf '%s' "$line" | sed -n 's/.*"name":"'"$1"'","value":"\([^"]*\)".*/\1/p'; }
use() {
  printf '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s","arguments":%s}}\n' "$1" "$2" >&8
  read -r said <&9
  printf '%s\n' "$said" >>answers
}
while read -r line; do
  case $line in
    *'"method":"initialize"'*)
      say '{"jsonrpc":"2.0","id":'"$(id "$line")"',"result":{"protocolVersion":1,"agentCapabilities":{}}}' ;;
    *'"method":"session/new"'*)
      mkfifo /tmp/in.$$ /tmp/out.$$
      program=$(printf '%s' "$line" | sed -n 's/.*"command":"\([^"]*\)".*/\1/p')
      MUSHER_TOOLS_SOCKET=$(value MUSHER_TOOLS_SOCKET) MUSHER_TOOLS_PASS=$(value MUSHER_TOOLS_PASS) \
        "$program" mcp </tmp/in.$$ >/tmp/out.$$ &
      exec 8>/tmp/in.$$ 9</tmp/out.$$
      rm /tmp/in.$$ /tmp/out.$$
      say '{"jsonrpc":"2.0","id":'"$(id "$line")"',"result":{"sessionId":"s1"}}' ;;
    *'"method":"session/prompt"'*)
      case $line in
        *'"text":"more'*) echo more >more ;;
        *)
          use report_progress '{"text":"at it"}'
          use add_item '{"title":"more to do","body":"do that as well"}'
          use ask_operator '{"question":"which colour?"}'
          use list_items '{}'
          use submit_result '{"summary":"painted","artifacts":["paint.txt"]}' ;;
      esac
      say '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s1","update":{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"bye"}}}}'
      say '{"jsonrpc":"2.0","id":'"$(id "$line")"',"result":{"stopReason":"end_turn"}}' ;;
  esac
done
"#;

fn it_works_with_its_tools(sandbox: &str) {
    let config = format!(
        "[project]\ngate = \"true\"\n[policy]\nreviewer_required = false\nmax_retries = 1\n[server]\nhttp = false\n\
         [[agents]]\nname = \"scripted\"\ndriver = \"acp\"\nsandbox = \"{sandbox}\"\n\
         command = [\"sh\", \"{{root}}/agent.sh\"]\n"
    );
    let repo = Repo::with(&config, AGENT);
    let daemon = repo.up();
    let start = ["mission", "start", "--text", "paint", "--json"];
    let id = repo.musher(&start).ok().json()["mission"]["id"].as_str().unwrap().to_owned();
    let mut events = repo.follow(0);
    let request = events.until("help_requested")["body"]["request"].as_str().unwrap().to_owned();
    let text = repo.musher(&["item", "show", &format!("{id}/paint")]).ok().out;
    assert!(text.contains("at it"), "how far it is: {text}");
    let status = repo.musher(&["inbox"]).ok();
    assert!(status.out.contains("which colour?") && status.out.contains("musher answer"), "{}", status.out);
    daemon.kill();
    let daemon = repo.up();
    repo.musher(&["deny", &request]).refused(2, "is a question");
    repo.musher(&["answer", &request, "blue"]).ok();
    repo.wait_for_end(&id);
    let answers = repo.git(&["show", "main:answers"]);
    let lines: Vec<&str> = answers.lines().collect();
    assert!(lines[1].contains("was added") && lines[2].contains("answers: blue"), "{answers}");
    assert!(lines[3].contains(r#"\"key\":\"more-to-do\""#), "{answers}");
    assert_eq!(repo.git(&["show", "main:more"]), "more\n", "what it added was done as well");
    let shown = repo.musher(&["item", "show", &format!("{id}/paint"), "--json"]).ok().json();
    assert_eq!(shown["runs"][0]["message"], "painted");
    let text = repo.musher(&["item", "show", &format!("{id}/paint")]).ok().out;
    assert!(text.contains("painted") && text.contains("made     paint.txt"), "{text}");
    let spool = std::fs::read_to_string(
        repo.file(&format!(".musher/runs/{}/out.ndjson", shown["runs"][0]["id"].as_str().unwrap())),
    );
    let pass = format!("{}.", shown["runs"][0]["id"].as_str().unwrap());
    assert!(!spool.unwrap().contains(&pass), "no transcript has the pass");
    repo.nothing_left();
    daemon.kill();
}

#[test]
fn a_question_outlives_the_daemon_and_what_was_added_is_done() {
    it_works_with_its_tools("none");
}

#[test]
fn the_tools_are_there_in_a_sandbox() {
    let tried = Command::new("bwrap").args(["--ro-bind", "/", "/", "--dev", "/dev", "true"]).output();
    if tried.is_ok_and(|output| output.status.success()) {
        it_works_with_its_tools("bwrap");
    }
}

#[test]
fn nobody_but_an_agent_that_musher_runs_is_served() {
    let repo = Repo::with("", "");
    repo.musher(&["mcp"]).refused(2, "serves an agent that musher runs");
}
