//! Agents that are spoken to, by a scripted one: what it asks, what it is told, its session, its limits, and a daemon
//! that is killed in the middle of it all. Real programs are tested in `tests/agents`.

use crate::harness::{Daemon, Follower, Repo};

/// A program that speaks the Agent Client Protocol. The words of its prompt say what it does: `ask` for a yes before it
/// writes, `limited` for a used-up account the first time, `loop` for the same call over and over, `wait` for a message, `costly`
/// for use that it tells without its cost.
/// Whatever it is asked is written down, so that a test sees what was said twice.
pub(crate) const AGENT: &str = r#"
say() { printf '%s\n' "$1"; }
id() { printf '%s' "$1" | sed -n 's/.*"id":\("\{0,1\}[^,"}]*"\{0,1\}\).*/\1/p'; }
update() { say '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s1","update":'"$1"'}}'; }
words() { update '{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"'"$1"'"}}'; }
end() { say '{"jsonrpc":"2.0","id":'"$1"',"result":{"stopReason":"'"$2"'"}}'; }
log=$(git rev-parse --git-common-dir)/heard
prompt=0
trap 'say "{\"jsonrpc\":\"2.0\",\"id\":$prompt,\"error\":{\"code\":-32603,\"message\":\"terminated\"}}"; exit 1' TERM
while read -r line; do
  printf '%s\n' "$line" >>"$log"
  case $line in
    *'"method":"initialize"'*)
      say '{"jsonrpc":"2.0","id":'"$(id "$line")"',"result":{"protocolVersion":1,"agentCapabilities":{"loadSession":true}}}' ;;
    *'"method":"session/new"'*)
      say '{"jsonrpc":"2.0","id":'"$(id "$line")"',"result":{"sessionId":"s1"}}' ;;
    *'"method":"session/load"'*)
      say '{"jsonrpc":"2.0","id":'"$(id "$line")"',"result":{}}' ;;
    *'"method":"session/prompt"'*)
      prompt=$(id "$line")
      case $line in
        *'more words'*) words "heard more words"; echo told >told; end "$prompt" end_turn ;;
        *'"text":"ask'*)
          update '{"sessionUpdate":"tool_call","toolCallId":"t1","title":"write","kind":"execute","rawInput":{"command":"echo asked > asked"}}'
          say '{"jsonrpc":"2.0","id":"q1","method":"session/request_permission","params":{"sessionId":"s1","toolCall":{"toolCallId":"t1"},"options":[{"optionId":"y","name":"yes","kind":"allow_once"},{"optionId":"n","name":"no","kind":"reject_once"}]}}' ;;
        *'"text":"limited'*)
          if [ -e "$log.limited" ]; then echo work >work; words "after the rest"; end "$prompt" end_turn
          else : >"$log.limited"
            say '{"jsonrpc":"2.0","id":'"$prompt"',"error":{"code":429,"message":"Too many requests, status 429"}}'; fi ;;
        *'"text":"stop'*) end "$prompt" cancelled ;;
        *'"text":"flood'*) yes '{"jsonrpc":"2.0","method":"x"}' | head -n 40000; echo work >work; end "$prompt" end_turn ;;
        *'"text":"loop'*)
          n=0; while [ $n -lt 12 ]; do n=$((n + 1))
            update '{"sessionUpdate":"tool_call","toolCallId":"t'$n'","title":"same","kind":"execute","rawInput":{"command":"true"}}'
            update '{"sessionUpdate":"tool_call_update","toolCallId":"t'$n'","status":"completed"}'
          done ;;
        *'"text":"wait'*) words "waiting" ;;
        *'"text":"costly'*) echo work >work
          say '{"jsonrpc":"2.0","id":'"$prompt"',"result":{"stopReason":"end_turn","usage":{"inputTokens":1000,"outputTokens":100}}}' ;;
        *) echo work >work; words "did it"; end "$prompt" end_turn ;;
      esac ;;
    *'"method":"session/cancel"'*) end "$prompt" cancelled ;;
    *'"optionId":"y"'*)
      while [ -e "$log.hold" ]; do sleep 0.02; done
      echo asked >asked; words "was allowed"; end "$prompt" end_turn ;;
    *'"optionId":"n"'*) words "was denied"; end "$prompt" end_turn ;;
  esac
done
"#;

fn repo(agent: &str) -> Repo {
    let config = format!(
        "[project]\ngate = \"true\"\n[policy]\nreviewer_required = false\nmax_retries = 1\n[server]\nhttp = false\n\
         [[agents]]\nname = \"spoken\"\ndriver = \"acp\"\ncommand = [\"sh\", \"{{root}}/agent.sh\"]\n{agent}"
    );
    Repo::with(&config, AGENT)
}

/// Starts an item of these words; its repository, daemon and events.
fn begin(repo: &Repo, words: &str) -> (Daemon, Follower, String) {
    let daemon = repo.up();
    let said = repo.musher(&["mission", "start", "--text", words, "--json"]).ok();
    let id = said.json()["mission"]["id"].as_str().unwrap().to_owned();
    let follower = repo.follow(0);
    (daemon, follower, id)
}

/// How often the agent was sent something that holds these words.
fn heard(repo: &Repo, words: &str) -> usize {
    repo.read(".git/heard").lines().filter(|line| line.contains(words)).count()
}

#[test]
fn an_item_is_done_in_a_conversation_and_its_closing_words_are_the_summary() {
    let repo = repo("");
    let (daemon, mut events, id) = begin(&repo, "plain");
    assert_eq!(events.until("run_finished")["body"]["message"], "did it");
    repo.wait_for_end(&id);
    assert_eq!(repo.git(&["show", "main:work"]), "work\n");
    let logs = repo.musher(&["logs", &format!("{id}/plain")]).ok();
    assert!(logs.out.contains("did it") && !logs.out.contains("jsonrpc"), "{}", logs.out);
    let raw = repo.musher(&["logs", "--raw", &format!("{id}/plain")]).ok();
    assert!(raw.out.contains("jsonrpc"), "{}", raw.out);
    repo.nothing_left();
    daemon.kill();
}

#[test]
fn a_request_is_shown_whole_outlives_the_daemon_and_is_answered_once() {
    let repo = repo("approvals = \"ask\"");
    let (daemon, mut events, id) = begin(&repo, "ask first");
    let request = events.until("approval_requested")["body"]["request"].as_str().unwrap().to_owned();
    let inbox = repo.musher(&["inbox"]).ok();
    assert!(inbox.out.contains("run: echo asked > asked"), "{}", inbox.out);
    daemon.kill();
    let daemon = repo.up();
    // The run must not be over before the second answer comes: then there would be nothing left to answer.
    repo.write(".git/heard.hold", "");
    let allowed = repo.musher(&["allow", &request]).ok();
    assert!(allowed.out.contains("echo asked > asked"), "{}", allowed.out);
    repo.musher(&["deny", &request, "too late"]).refused(4, "was allowed by");
    std::fs::remove_file(repo.file(".git/heard.hold")).unwrap();
    repo.wait_for_end(&id);
    assert_eq!(repo.git(&["show", "main:asked"]), "asked\n");
    assert_eq!((heard(&repo, "session/prompt"), heard(&repo, "\"optionId\":\"y\"")), (1, 1));
    repo.musher(&["allow", &request]).refused(3, "no request");
    daemon.kill();
}

#[test]
fn a_no_goes_to_the_agent_and_its_run_goes_on() {
    let repo = repo("approvals = \"ask\"");
    let (daemon, mut events, id) = begin(&repo, "ask first");
    let request = events.until("approval_requested")["body"]["request"].as_str().unwrap().to_owned();
    repo.musher(&["deny", &request]).ok();
    assert_eq!(events.until("run_finished")["body"]["message"], "was denied");
    let logs = repo.musher(&["logs", &format!("{id}/ask-first")]).ok();
    assert!(logs.out.contains("? it wants to run: echo asked > asked"), "{logs:?}");
    assert_eq!((repo.titles(), heard(&repo, "\"optionId\":\"n\"")), (vec!["first".to_owned()], 1));
    daemon.kill();
}

#[test]
fn rules_answer_what_they_know_and_nobody_is_asked() {
    let allowing = repo("allow = [\"shell:echo *\", \"edit\"]");
    let (daemon, mut events, id) = begin(&allowing, "ask first");
    let decided = events.until("approval_decided");
    assert_eq!((&decided["body"]["ruled"], &decided["body"]["by"]), (&"allowed".into(), &"rules".into()), "{decided}");
    allowing.wait_for_end(&id);
    daemon.kill();

    let denying = repo("allow = [\"shell:echo *\", \"edit\"]\ndeny = [\"shell:echo *\"]");
    let (daemon, mut events, _) = begin(&denying, "ask first");
    assert_eq!(events.until("approval_decided")["body"]["ruled"], "denied");
    assert_eq!(events.until("run_finished")["body"]["message"], "was denied");
    daemon.kill();
}

#[test]
fn a_message_reaches_a_running_agent_and_one_with_now_interrupts_its_turn() {
    let repo = repo("");
    let (daemon, mut events, id) = begin(&repo, "wait for it");
    let run = events.until("run_started")["run"].as_str().unwrap().to_owned();
    while heard(&repo, "session/prompt") == 0 {
        std::thread::yield_now();
    }
    repo.musher(&["send", &run, "more words", "--now"]).ok();
    assert_eq!(events.until("run_finished")["body"]["message"], "heard more words");
    repo.wait_for_end(&id);
    assert_eq!(repo.git(&["show", "main:told"]), "told\n");
    repo.musher(&["send", &run, "too late"]).refused(4, "has ended");
    daemon.kill();
}

#[test]
fn an_account_that_is_used_up_counts_nothing_and_the_same_session_goes_on_after_the_rest() {
    let repo = repo("");
    let (daemon, mut events, id) = begin(&repo, "limited");
    let limited = events.until("agent_rate_limited");
    let document = repo.musher(&["mission", "status", &id, "--json"]).ok().json();
    assert_eq!(document["items"][0]["attempts"], 0, "{document}");
    let explained = repo.musher(&["explain", &format!("{id}/limited"), "--json"]).ok().json();
    assert_eq!(explained["waits"][0]["code"], "rate_limited", "{explained}");
    assert_eq!(explained["waits"][0]["until"], limited["body"]["until"], "{explained}");
    repo.musher(&["agent", "resume", "spoken"]).ok();
    repo.wait_for_end(&id);
    assert_eq!((heard(&repo, "session/new"), heard(&repo, "session/load")), (1, 1));
    let logs = repo.musher(&["logs", &format!("{id}/limited")]).ok();
    assert!(logs.out.contains("session s1") && logs.out.contains("after the rest"), "{logs:?}");
    daemon.kill();
}

#[test]
fn what_an_agent_says_as_it_is_killed_is_no_failure_of_its_own() {
    let repo = repo("");
    let (daemon, mut events, id) = begin(&repo, "wait for it");
    let run = events.until("run_started")["run"].as_str().unwrap().to_owned();
    while heard(&repo, "session/prompt") == 0 {
        std::thread::yield_now();
    }
    repo.musher(&["mission", "pause", &id]).ok();
    repo.musher(&["run", "kill", &run]).ok();
    assert_eq!(events.until("run_finished")["body"]["outcome"], "cancelled");
    let document = repo.musher(&["mission", "status", &id, "--json"]).ok().json();
    assert_eq!(document["items"][0]["attempts"], 0, "{document}");
    daemon.kill();
}

#[test]
fn an_agent_that_stops_without_being_asked_to_has_failed() {
    let repo = repo("");
    let (daemon, mut events, _) = begin(&repo, "stop");
    let finished = events.until("run_finished");
    assert_eq!((&finished["body"]["outcome"], &finished["body"]["class"]), (&"failed".into(), &"agent".into()));
    events.until("item_dead_lettered");
    daemon.kill();
}

#[test]
fn an_agent_that_says_more_than_is_kept_is_stopped_for_it() {
    let repo = repo("[agents.limits]\nmax_output = \"1MiB\"");
    let (daemon, mut events, _) = begin(&repo, "flood");
    assert_eq!(events.until("limit_reached")["body"]["limit"], "output");
    assert_eq!(events.until("run_finished")["body"]["class"], "limit");
    daemon.kill();
}

#[test]
fn a_turn_goes_on_as_it_began_though_the_configuration_changed_meanwhile() {
    let repo = repo("");
    let (daemon, mut events, id) = begin(&repo, "wait for it");
    let run = events.until("run_started")["run"].as_str().unwrap().to_owned();
    while heard(&repo, "session/prompt") == 0 {
        std::thread::yield_now();
    }
    daemon.kill();
    repo.write(
        "musher.toml",
        &repo.read("musher.toml").replace("driver = \"acp\"", "driver = \"acp\"\nmodel = \"other\""),
    );
    let daemon = repo.up();
    repo.musher(&["send", &run, "more words", "--now"]).ok();
    repo.wait_for_end(&id);
    assert_eq!(heard(&repo, "session/prompt"), 2);
    daemon.kill();
}

#[test]
fn the_same_call_over_and_over_is_stopped_as_a_loop() {
    let repo = repo("");
    let (daemon, mut events, _) = begin(&repo, "loop");
    assert_eq!(events.until("limit_reached")["body"]["limit"], "looping");
    let finished = events.until("run_finished");
    assert_eq!((&finished["body"]["outcome"], &finished["body"]["class"]), (&"failed".into(), &"limit".into()));
    assert_eq!(repo.run_processes(), Vec::<String>::new());
    daemon.kill();
}

#[test]
fn use_without_a_cost_is_priced_by_the_table() {
    let repo = repo("model = \"m\"\n[prices.m]\ninput = 1\noutput = 10\n");
    let (daemon, mut events, _) = begin(&repo, "costly");
    let recorded = events.until("usage_recorded");
    assert_eq!(recorded["body"]["usage"]["cost_micro_usd"], 2000, "{recorded}");
    daemon.kill();
}

#[test]
fn a_daemon_killed_in_mid_turn_says_nothing_twice() {
    let repo = repo("");
    let (daemon, mut events, id) = begin(&repo, "wait for it");
    let run = events.until("run_started")["run"].as_str().unwrap().to_owned();
    while heard(&repo, "session/prompt") == 0 {
        std::thread::yield_now();
    }
    daemon.kill();
    let daemon = repo.up();
    repo.musher(&["send", &run, "more words", "--now"]).ok();
    repo.wait_for_end(&id);
    assert_eq!(
        (heard(&repo, "\"initialize\""), heard(&repo, "session/new"), heard(&repo, "session/prompt")),
        (1, 1, 2)
    );
    daemon.kill();
}

#[test]
fn an_agent_that_falls_silent_is_stopped_and_one_that_waits_for_an_answer_is_not_silent() {
    let repo = repo("approvals = \"ask\"\n[agents.limits]\nsilence = \"1s\"");
    let (daemon, mut events, _) = begin(&repo, "wait for it");
    assert_eq!(events.until("limit_reached")["body"]["limit"], "silence");
    assert_eq!(events.until("run_finished")["body"]["class"], "timeout");
    let start = ["mission", "start", "--text", "ask first", "--json"];
    repo.musher(&start).ok();
    let request = events.until("approval_requested")["body"]["request"].as_str().unwrap().to_owned();
    // The end of another silent run is some seconds of silence for this one.
    repo.write("musher.toml", &repo.read("musher.toml").replace("driver = \"acp\"", "max_load = 2\ndriver = \"acp\""));
    repo.musher(&["mission", "start", "--text", "wait again"]).ok();
    assert_eq!(events.until("limit_reached")["body"]["limit"], "silence");
    repo.musher(&["allow", &request]).ok();
    daemon.kill();
}
