//! The merge queue over real git: gate runs and time for batches with bad members, against one merge after the other; and
//! merges a second without a gate, against the plain commands of git.
//!
//! Batches go as the real plan says, over the real repository driver and a real gate in a real worktree. What is left out is
//! the daemon around them: its commits take a millisecond or two a step.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use musher_core::id::ItemId;
use musher_core::merge::{BATCH_MAX, Batch, End, Link};
use musher_core::time::Timestamp;
use musher_git::{
    BatchMember, BatchRequest, BranchName, Identity, LandRequest, Landed, MergeStyle, Message, ObjectId, Repository,
};

use super::worktrees::{git, part};
use super::{BenchError, Figure, Report, facts, fresh, remove};

/// What to measure, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder on the disk that is measured; what is made in it is removed again.
    pub dir: PathBuf,
    /// How long a gate takes.
    pub gate: Duration,
    /// How many branches wait when there is a gate.
    pub branches: usize,
    /// How many merges are made without a gate.
    pub merges: usize,
    /// How many files the repository has.
    pub files: usize,
    /// Every place of the bad one, and all of them bad; otherwise a few places.
    pub all: bool,
}

/// A queue takes at most so many gates' time with one bad member.
const MOST_WITH_ONE_BAD: f64 = 8.0;
/// And so many with none.
const MOST_WITH_NONE: f64 = 3.0;
/// Merges a second without a gate, at least.
const LEAST_MERGES: f64 = 200.0;

/// Measures everything.
///
/// # Errors
/// git fails, or does not do what is expected of it.
pub fn run(options: &Options) -> Result<Report, BenchError> {
    std::fs::create_dir_all(&options.dir).map_err(BenchError::io(&options.dir))?;
    let dir = options.dir.canonicalize().map_err(BenchError::io(&options.dir))?;
    let mut figures = Vec::new();
    gated(options, &dir, &mut figures)?;
    ungated(options, &dir, &mut figures)?;
    let about = format!(
        "{} branches behind a gate of {} ms, one slot; {} branches without a gate, in a repository of {} files",
        options.branches,
        options.gate.as_millis(),
        options.merges,
        options.files
    );
    Ok(Report { machine: facts(), size: "full", about, figures })
}

fn gated(options: &Options, dir: &Path, figures: &mut Vec<Figure>) -> Result<(), BenchError> {
    let last = options.branches;
    let few = [1, 8, 16, 17, last].map(|place| place.min(last));
    let places = if options.all { (1..=last).collect() } else { few.to_vec() };
    let mut cases = vec![("none bad".to_owned(), Vec::new(), Base::SeenGreen, Some(MOST_WITH_NONE))];
    for place in places {
        cases.push((format!("number {place} bad"), vec![place], Base::SeenGreen, Some(MOST_WITH_ONE_BAD)));
    }
    // Where nothing has landed yet, the base may be what is red.
    cases.push(("number 1 bad, base never seen".to_owned(), vec![1], Base::NeverSeen, None));
    cases.push(("numbers 5 and 20 bad".to_owned(), vec![5, 20.min(last)], Base::SeenGreen, None));
    if options.all {
        cases.push(("all bad".to_owned(), (1..=last).collect(), Base::SeenGreen, None));
    }
    let naive = {
        let yard = Yard::make(dir, options, last, &[])?;
        yard.one_by_one(options.gate)?
    };
    figures.push(Figure::plain("one by one, none bad: gate runs", naive.gates as f64, ""));
    figures.push(Figure::plain("one by one, none bad: time, in gates", naive.in_gates(options.gate), "T"));
    for (name, bad, base, most) in cases {
        let yard = Yard::make(dir, options, last, &bad)?;
        let spent = yard.in_batches(options.gate, base)?;
        figures.push(Figure::plain(format!("{name}: gate runs"), spent.gates as f64, ""));
        let time = spent.in_gates(options.gate);
        let named = format!("{name}: time, in gates");
        figures.push(match most {
            Some(most) => Figure::at_most(named, time, "T", most),
            None => Figure::plain(named, time, "T"),
        });
    }
    Ok(())
}

fn ungated(options: &Options, dir: &Path, figures: &mut Vec<Figure>) -> Result<(), BenchError> {
    let yard = Yard::make(dir, options, options.merges, &[])?;
    let plain = options.merges as f64 / yard.plain()?.as_secs_f64();
    let yard = Yard::make(dir, options, options.merges, &[])?;
    let ours = options.merges as f64 / yard.merged()?.as_secs_f64();
    figures.push(Figure::plain("plain git (`merge-tree`, `commit-tree`, `update-ref`)", plain, "merges/s"));
    figures.push(Figure::at_least("musher's merges without a gate", ours, "merges/s", LEAST_MERGES));
    figures.push(Figure::plain("musher's to those of plain git", ours / plain.max(f64::MIN_POSITIVE), ""));
    remove(&yard.top)
}

/// What is known of the base before the first batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    /// It was green: it is what the last batch made of it.
    SeenGreen,
    /// Nobody has ever tested it.
    NeverSeen,
}

/// What a queue took.
struct Spent {
    gates: u64,
    time: Duration,
}

impl Spent {
    fn in_gates(&self, gate: Duration) -> f64 {
        self.time.as_secs_f64() / gate.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// A repository with branches that are ready to be merged.
struct Yard {
    top: PathBuf,
    repository: Repository,
    heads: Vec<ObjectId>,
    bad: usize,
}

impl Yard {
    /// Files and branches come in one stream: what is measured is merges, not their making. A bad branch has a file `bad`.
    fn make(dir: &Path, options: &Options, branches: usize, bad: &[usize]) -> Result<Self, BenchError> {
        let top = fresh(dir, "queue")?;
        git(&top, &["init", "-q", "-b", "main"])?;
        git(&top, &["config", "gc.auto", "0"])?;
        let who = "committer bench <bench@localhost> 1700000000 +0000\ndata 1\nx\n";
        let mut stream = format!("commit refs/heads/main\nmark :1\n{who}");
        for n in 0..options.files {
            let text = format!("// file {n}\n").repeat(40);
            let _ = writeln!(stream, "M 100644 inline {}\ndata {}\n{text}", file(n), text.len());
        }
        for n in 1..=branches {
            let path = file(n * (options.files / branches).max(1) % options.files);
            let text = format!("// branch {n}\n");
            let _ = write!(stream, "commit refs/heads/b{n}\n{who}from :1\n");
            let _ = writeln!(stream, "M 100644 inline {path}\ndata {}\n{text}", text.len());
            if bad.contains(&n) {
                let _ = writeln!(stream, "M 100644 inline bad-{n}\ndata 1\nx");
            }
        }
        import(&top, &stream)?;
        // Nobody has the target checked out, as it is with an integration branch.
        git(&top, &["update-ref", "refs/heads/user", "refs/heads/main"])?;
        git(&top, &["symbolic-ref", "HEAD", "refs/heads/user"])?;
        let repository = Repository::open(&top).map_err(part)?;
        let named: Vec<String> = (1..=branches).map(|n| format!("refs/heads/b{n}")).collect();
        let mut asked = vec!["rev-parse"];
        asked.extend(named.iter().map(String::as_str));
        let heads = git(&top, &asked)?.lines().map(ObjectId::parse).collect::<Result<_, _>>().map_err(part)?;
        Ok(Self { top, repository, heads, bad: bad.len() })
    }

    fn tip(&self) -> Result<ObjectId, BenchError> {
        self.repository.resolve("refs/heads/main").map_err(part)?.ok_or_else(|| unexpected("no main"))
    }

    /// The gate in the merge worktree at this commit.
    fn gate(&self, commit: &ObjectId, takes: Duration) -> Result<bool, BenchError> {
        let place = self.top.join(".musher/worktrees/_merge");
        self.repository.merge_worktree(&place, commit).map_err(part)?;
        let script = format!("sleep {}; set -- bad-*; [ ! -e \"$1\" ]", takes.as_secs_f64());
        let status = Command::new("sh").args(["-c", &script]).current_dir(&place).status();
        Ok(status.map_err(BenchError::io(&place))?.success())
    }

    /// As a queue without batches does it: each on the last good one, tested, landed.
    fn one_by_one(&self, takes: Duration) -> Result<Spent, BenchError> {
        let started = Instant::now();
        let mut gates = 0;
        for head in &self.heads {
            let tip = self.tip()?;
            let commit = self.merge_plainly(&tip, head)?;
            gates += 1;
            if self.gate(&commit, takes)? {
                git(&self.top, &["update-ref", "refs/heads/main", commit.as_str(), tip.as_str()])?;
            }
        }
        Ok(Spent { gates, time: started.elapsed() })
    }

    fn merge_plainly(&self, tip: &ObjectId, head: &ObjectId) -> Result<ObjectId, BenchError> {
        let tree = git(&self.top, &["merge-tree", "--write-tree", tip.as_str(), head.as_str()])?;
        let who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"];
        let commit = [&who[..], &["commit-tree", tree.trim(), "-p", tip.as_str(), "-m", "merge"]].concat();
        ObjectId::parse(git(&self.top, &commit)?.trim()).map_err(part)
    }

    /// All of them, by the plain commands.
    fn plain(&self) -> Result<Duration, BenchError> {
        let mut tip = self.tip()?;
        let started = Instant::now();
        for head in &self.heads {
            let commit = self.merge_plainly(&tip, head)?;
            git(&self.top, &["update-ref", "refs/heads/main", commit.as_str(), tip.as_str()])?;
            tip = commit;
        }
        Ok(started.elapsed())
    }

    /// All of them, by musher, in batches.
    fn merged(&self) -> Result<Duration, BenchError> {
        let started = Instant::now();
        for (at, heads) in self.heads.chunks(BATCH_MAX as usize).enumerate() {
            let members: Vec<(usize, &ObjectId)> = heads.iter().enumerate().collect();
            let (base, links) = self.prepare(at * BATCH_MAX as usize, &members)?;
            let last = links.last().ok_or_else(|| unexpected("a batch of nothing"))?;
            self.land(&base.commit, &last.commit)?;
        }
        let took = started.elapsed();
        let files = git(&self.top, &["diff", "--name-only", "main", &format!("b{}", self.heads.len())])?;
        if files.lines().count() + 1 == self.heads.len() { Ok(took) } else { Err(unexpected("not all were merged")) }
    }

    /// As the queue does it: batches, bisected when they are red.
    fn in_batches(&self, takes: Duration, base: Base) -> Result<Spent, BenchError> {
        let mut said: HashMap<Box<str>, bool> = HashMap::new();
        if base == Base::SeenGreen {
            // As it is after any landing: the worktree of the merges is there, too.
            let tip = self.tip()?;
            let green = self.gate(&tip, Duration::ZERO)?;
            said.insert(git(&self.top, &["rev-parse", &format!("{tip}^{{tree}}")])?.trim().into(), green);
        }
        let started = Instant::now();
        let mut queue: VecDeque<usize> = (0..self.heads.len()).collect();
        let (mut gates, mut ejected, mut number) = (0, 0, 0);
        while !queue.is_empty() {
            let members: Vec<usize> = queue.iter().copied().take(BATCH_MAX as usize).collect();
            let heads: Vec<(usize, &ObjectId)> = members.iter().map(|n| (*n, &self.heads[*n])).collect();
            let (base, links) = self.prepare(0, &heads)?;
            number += 1;
            let items: Vec<ItemId> = members.iter().map(|n| ItemId::from_bytes((*n as u128).to_be_bytes())).collect();
            let mut batch = Batch::new(number, "refs/heads/main", Some("gate"), &items, Timestamp::from_micros(0));
            batch.form(base, &links);
            batch.tried[0].green = batch.base.as_ref().is_some_and(|base| said.get(&base.tree) == Some(&true));
            loop {
                let plan = batch.plan(1);
                if let Some(upto) = plan.land {
                    let from = batch.link(batch.landed).ok_or_else(|| unexpected("no base"))?.commit.clone();
                    self.land(&from, &batch.link(upto).ok_or_else(|| unexpected("no link"))?.commit)?;
                    queue.drain(..upto - batch.landed);
                    batch.landed = upto;
                    continue;
                }
                match plan.end {
                    Some(End::Done) => break,
                    Some(End::Eject(_)) => {
                        queue.pop_front();
                        ejected += 1;
                        break;
                    }
                    Some(End::BaseRed) => return Err(unexpected("the base is red")),
                    None => {}
                }
                for prefix in plan.tests {
                    let link = batch.link(prefix).ok_or_else(|| unexpected("no link"))?.clone();
                    // What was green is not tested again; a red result is repeated.
                    let known = said.get(&link.tree) == Some(&true);
                    gates += u64::from(!known);
                    let green = known || self.gate(&ObjectId::parse(&link.commit).map_err(part)?, takes)?;
                    said.insert(link.tree, green);
                    batch.tried[prefix].green |= green;
                    batch.tried[prefix].reds += u8::from(!green);
                }
            }
        }
        let time = started.elapsed();
        if ejected == self.bad {
            Ok(Spent { gates, time })
        } else {
            Err(unexpected("not just the bad ones were ejected"))
        }
    }

    fn prepare(&self, first: usize, heads: &[(usize, &ObjectId)]) -> Result<(Link, Vec<Link>), BenchError> {
        let member = |(n, head): &(usize, &ObjectId)| BatchMember {
            head: (*head).clone(),
            message: Message {
                title: format!("merge {n}"),
                body: String::new(),
                trailers: vec![("Musher-Item".to_owned(), format!("i{n} {}", first + n))],
            },
            name: format!("i{}", first + n),
        };
        let request = BatchRequest {
            target: BranchName::parse("main").map_err(part)?,
            style: MergeStyle::Squash,
            identity: Identity::new("bench", "bench@localhost"),
            time_s: 1_700_000_000,
            members: heads.iter().map(member).collect(),
        };
        let made = self.repository.prepare_batch(&request).map_err(part)?;
        let link =
            |(commit, tree): &(ObjectId, ObjectId)| Link { commit: commit.as_str().into(), tree: tree.as_str().into() };
        match made.cut {
            Some(cut) => Err(unexpected(&format!("{cut:?}"))),
            None => Ok((link(&made.base), made.links.iter().map(link).collect())),
        }
    }

    fn land(&self, old: &str, new: &str) -> Result<(), BenchError> {
        let request = LandRequest {
            target: BranchName::parse("main").map_err(part)?,
            old: ObjectId::parse(old).map_err(part)?,
            new: ObjectId::parse(new).map_err(part)?,
            push: None,
        };
        match self.repository.land(&request).map_err(part)? {
            Landed::Landed => Ok(()),
            other => Err(unexpected(&format!("{other:?}"))),
        }
    }
}

fn unexpected(what: &str) -> BenchError {
    BenchError::Part(what.to_owned())
}

/// A hundred files a folder.
fn file(n: usize) -> String {
    format!("d{:02}/e{:02}/f{:02}.rs", n / 10_000, n / 100 % 100, n % 100)
}

fn import(top: &Path, stream: &str) -> Result<(), BenchError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(top).args(["fast-import", "--quiet"]).stdin(Stdio::piped());
    let mut child = command.spawn().map_err(BenchError::io(top))?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(stream.as_bytes()).map_err(BenchError::io(top))?;
    }
    match child.wait().map_err(BenchError::io(top))?.success() {
        true => Ok(()),
        false => Err(unexpected("`git fast-import` failed")),
    }
}
