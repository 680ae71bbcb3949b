//! What an agent says and is told.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use musher_agents::host::{Reason, Stream};
use musher_agents::supervise::{Observation, attach, end_input, say, send_input};

use super::bench::{Bench, run, texts, to_the_end, until};

pub(crate) fn the_exit_code_and_the_last_line_are_told() {
    run(async {
        let (records, exit) = Bench::new("echo one; echo two >&2; echo; echo ' three '; echo; exit 7").run().await;
        assert_eq!((exit.code, exit.signal, &exit.reason), (Some(7), None, &Reason::Exited));
        assert_eq!((exit.leftovers_killed, exit.output_bytes), (0, 18));
        assert_eq!(exit.last_line.as_deref(), Some("three"));
        assert_eq!(texts(&records, Stream::Stdout), ["one", "", " three ", ""]);
        assert_eq!(texts(&records, Stream::Stderr), ["two"]);
        assert!(records.iter().map(|r| r.seq).eq(1..=5));
        let (_, exit) = Bench::new("kill -9 $$").run().await;
        assert_eq!((exit.code, exit.signal), (None, Some(9)));
    });
}

pub(crate) fn the_agent_gets_its_environment_its_folder_and_its_prompt() {
    run(async {
        let mut bench = Bench::new("env | sort; pwd; cat; echo; ulimit -c >/dev/null; umask");
        bench.spec.env.insert("ONE".into(), "1".into());
        bench.stdin = b"do this\nand that".to_vec();
        let (records, _) = bench.run().await;
        let said = texts(&records, Stream::Stdout);
        let home = bench.home.path().canonicalize().unwrap().display().to_string();
        let own = [format!("MUSHER_RUN={}", bench.spec.run), "ONE=1".into(), format!("PWD={home}"), home];
        own.iter().for_each(|line| assert!(said.contains(&line.as_str()), "{line}: {said:?}"));
        assert!(!said.iter().any(|line| line.starts_with("CARGO") || line.starts_with("HOME=")), "{said:?}");
        assert!(said.windows(2).any(|two| two == ["do this", "and that"]), "{said:?}");
    });
}

pub(crate) fn output_is_read_once_from_any_offset() {
    run(async {
        let folder = Bench::new("for i in 1 2 3; do echo line $i; done").launch().await;
        let (all, _) = to_the_end(&folder, 0).await;
        let file = std::fs::read(folder.output()).unwrap();
        let mut offset = 0;
        for at in 0..=all.len() {
            let (rest, _) = to_the_end(&folder, offset).await;
            assert_eq!(rest, all[at..]);
            offset += file[offset as usize..].iter().position(|b| *b == b'\n').map_or(0, |end| end as u64 + 1);
        }
    });
}

pub(crate) fn a_reader_sees_a_line_while_the_agent_lives() {
    run(async {
        let folder = Bench::new("echo ready; read line; echo got $line").with(|s| s.keep_stdin = true).launch().await;
        let mut first = attach(&folder, 0).unwrap();
        until(&mut first, "ready").await;
        let offset = first.offset();
        // As after a restart of the daemon.
        drop(first);
        let mut second = attach(&folder, offset).unwrap();
        send_input(&folder, "x\n").await.unwrap();
        let Some(Observation::Output { records, .. }) = second.next().await.unwrap() else { panic!("no output") };
        assert_eq!(texts(&records, Stream::Stdout), ["got x"]);
        assert!(matches!(second.next().await.unwrap(), Some(Observation::Exited(_))));
    });
}

pub(crate) fn what_is_said_under_a_key_is_said_once_and_written_down() {
    run(async {
        let script = "while read -r line; do echo got $line; done";
        let folder = Bench::new(script).with(|s| s.keep_stdin = true).launch().await;
        let mut reader = attach(&folder, 0).unwrap();
        say(&folder, "first", "a\n").await.unwrap();
        until(&mut reader, "got a").await;
        // A daemon that does not know whether it was said says it again.
        say(&folder, "first", "a\n").await.unwrap();
        say(&folder, "second", "b\n").await.unwrap();
        until(&mut reader, "got b").await;
        assert!(say(&folder, &"k".repeat(5_000), "c\n").await.is_err(), "a key without bounds");
        end_input(&folder).await.unwrap();
        let (records, _) = to_the_end(&folder, 0).await;
        assert_eq!(texts(&records, Stream::Stdout), ["got a", "got b"]);
        let said: Vec<_> = records.iter().filter_map(|r| r.key.as_deref().map(|key| (key, r.text.as_str()))).collect();
        assert_eq!(said, [("first", "a"), ("second", "b")]);
    });
}

pub(crate) fn bytes_that_are_no_text_are_replaced() {
    run(async {
        let (records, _) = Bench::new(r"printf 'a\377b\000c\n\033[1mx\n\303'").run().await;
        assert_eq!(texts(&records, Stream::Stdout), ["a\u{fffd}b\0c", "\u{1b}[1mx", "\u{fffd}"]);
    });
}

pub(crate) fn secrets_are_masked_wherever_they_are_said() {
    run(async {
        let script = "printf 'my hun'; printf 'ter2-value\\n'; echo err hunter2-value >&2; echo API_TOKEN=abc; \
                      echo ghp_aB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB3dE6gH9";
        let bench = Bench::new(script).with(|s| s.masks.push("hunter2-value".into()));
        let (records, exit) = bench.run().await;
        assert_eq!(texts(&records, Stream::Stdout), ["my ***", "API_TOKEN=***", "***"]);
        assert_eq!(texts(&records, Stream::Stderr), ["err ***"]);
        assert_eq!(exit.last_line.as_deref(), Some("***"));
    });
}

pub(crate) fn input_reaches_an_agent_that_waits_for_it() {
    run(async {
        let mut bench =
            Bench::new("while read line; do echo \"<$line>\"; done; echo end").with(|s| s.keep_stdin = true);
        bench.stdin = b"first\n".to_vec();
        let folder = bench.launch().await;
        let mut attachment = attach(&folder, 0).unwrap();
        until(&mut attachment, "<first>").await;
        send_input(&folder, "se").await.unwrap();
        send_input(&folder, "cond\n").await.unwrap();
        until(&mut attachment, "<second>").await;
        end_input(&folder).await.unwrap();
        let (records, exit) = to_the_end(&folder, 0).await;
        assert_eq!((texts(&records, Stream::Stdout).last(), exit.code), (Some(&"end"), Some(0)));
    });
}

pub(crate) fn a_host_survives_clients_that_vanish_or_talk_nonsense() {
    run(async {
        let script = "echo ready; read line; i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done";
        let folder = Bench::new(script).with(|s| s.keep_stdin = true).launch().await;
        let socket = folder.path().join("host.sock");
        let mut nonsense = UnixStream::connect(&socket).unwrap();
        nonsense.write_all(b"{\"stop\":\"perhaps\"}\n\xff\xff\n{}\n").unwrap();
        nonsense.shutdown(std::net::Shutdown::Write).unwrap();
        // Many that neither read nor leave, one that leaves in the middle of a word, and one that says too much.
        let idle: Vec<_> = (0..20).map(|_| UnixStream::connect(&socket).unwrap()).collect();
        UnixStream::connect(&socket).unwrap().write_all(b"{\"inp").unwrap();
        let mut endless = UnixStream::connect(&socket).unwrap();
        let talk = std::thread::spawn(move || while endless.write_all(&[b'x'; 65_536]).is_ok() {});
        send_input(&folder, "go\n").await.unwrap();
        let (records, exit) = to_the_end(&folder, 0).await;
        assert_eq!((records.len(), exit.code), (2_001, Some(0)));
        let mut answers = String::new();
        nonsense.read_to_string(&mut answers).unwrap();
        assert_eq!(answers.matches("refused").count(), 3, "{answers}");
        assert!(answers.contains("exited"), "{answers}");
        talk.join().unwrap();
        drop(idle);
    });
}
