//! What an agent may not do for ever.

use std::time::Duration;

use musher_agents::host::{Reason, Stream};

use super::bench::{Bench, run, texts};

pub(crate) fn a_flood_is_cut_and_told() {
    run(async {
        let bench = Bench::new("yes 'a line of a flood' | head -c 3000000; echo; echo last words");
        let bench = bench.with(|s| s.max_output_bytes = 100_000);
        let folder = bench.launch().await;
        let (records, exit) = super::bench::to_the_end(&folder, 0).await;
        assert_eq!(texts(&records, Stream::Host), ["output beyond 100000 bytes is not kept"]);
        assert!(std::fs::metadata(folder.output()).unwrap().len() < 101_000);
        assert_eq!((exit.code, exit.output_bytes), (Some(0), 3_000_012));
        assert_eq!(exit.last_line.as_deref(), Some("last words"));
    });
}

pub(crate) fn a_long_line_is_cut_and_told() {
    run(async {
        let (records, _) = Bench::new("head -c 200000 /dev/zero | tr '\\0' x; echo; echo short").run().await;
        let lengths: Vec<(usize, bool)> = records.iter().map(|r| (r.text.len(), r.cut)).collect();
        assert_eq!(lengths, [(65_536, true), (5, false)]);
    });
}

pub(crate) fn an_agent_that_never_reads_stalls_nobody() {
    run(async {
        let mut bench = Bench::new("echo done");
        bench.stdin = vec![b'x'; 1 << 20];
        let (records, exit) = bench.run().await;
        assert_eq!((texts(&records, Stream::Stdout), exit.code), (vec!["done"], Some(0)));
        let mut reads = Bench::new("wc -c");
        reads.stdin = vec![b'x'; 1 << 20];
        assert_eq!(reads.run().await.1.last_line.as_deref(), Some("1048576"));
    });
}

pub(crate) fn an_agent_that_closes_its_input_stalls_nobody() {
    run(async {
        let mut bench = Bench::new("exec <&-; echo closed; sleep 0.1; echo done");
        bench.stdin = vec![b'x'; 1 << 20];
        assert_eq!(bench.run().await.1.last_line.as_deref(), Some("done"));
    });
}

pub(crate) fn a_deadline_ends_the_agent() {
    run(async {
        let (_, exit) = Bench::new("while :; do echo x; sleep 0.01; done").with(|s| s.deadline_ms = 200).run().await;
        assert_eq!((exit.reason, exit.code, exit.signal), (Reason::Deadline, None, Some(15)));
    });
}

pub(crate) fn silence_ends_the_agent() {
    run(async {
        let (records, exit) = Bench::new("echo x; sleep 300").with(|s| s.silence_ms = Some(200)).run().await;
        assert_eq!((exit.reason, exit.signal, records.len()), (Reason::Silence, Some(15), 1));
    });
}

pub(crate) fn output_breaks_the_silence() {
    run(async {
        // Well over the limit in all, well under it from one word to the next.
        let script = "for i in 1 2 3 4 5 6 7 8; do echo $i >&2; sleep 0.3; done";
        let started = std::time::Instant::now();
        let (_, exit) = Bench::new(script).with(|s| s.silence_ms = Some(2_000)).run().await;
        assert!(started.elapsed() > Duration::from_secs(2));
        assert_eq!((exit.reason, exit.code), (Reason::Exited, Some(0)));
    });
}
