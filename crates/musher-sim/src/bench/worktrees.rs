//! How long an item waits for its worktree: from the warm pool, against `git worktree add` in the same repository.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use musher_git::{BranchName, CreateRequest, Made, Pool, Repository};

use super::{BenchError, Figure, Report, facts, fresh, middle_and_p99, remove};

/// What to measure, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder on the disk that is measured; what is made in it is removed again.
    pub dir: PathBuf,
    /// How many files the repository has.
    pub files: usize,
    /// How often each way is measured.
    pub times: usize,
}

/// Files that each commit between two worktrees changes: the base never stands still.
const CHANGED: usize = 20;

/// Measures both ways by turns, so that what else the machine does meets both.
pub fn run(options: &Options) -> Result<Report, BenchError> {
    std::fs::create_dir_all(&options.dir).map_err(BenchError::io(&options.dir))?;
    let dir = options.dir.canonicalize().map_err(BenchError::io(&options.dir))?;
    let top = fresh(&dir, "worktrees")?;
    make_repository(&top, options.files)?;
    let repository = Repository::open(&top).map_err(|e| BenchError::Part(e.to_string()))?;
    let pool = Pool { folder: top.join(".musher/pool"), size: 1 };
    let (mut plain, mut warm) = (Vec::new(), Vec::new());
    for turn in 0..options.times {
        while repository.warm_one(&pool, "refs/heads/main", 0).map_err(part)?.map_err(part)? {}
        change(&top, turn, options.files)?;
        let path = top.join(format!(".musher/worktrees/plain-{turn}"));
        let started = Instant::now();
        git(&top, &["worktree", "add", "-q", "-b", &format!("plain/{turn}"), &path.display().to_string(), "main"])?;
        plain.push(started.elapsed().as_secs_f64() * 1e3);
        let request = CreateRequest {
            path: top.join(format!(".musher/worktrees/warm-{turn}")),
            branch: BranchName::parse(&format!("musher/m/{turn}")).map_err(part)?,
            base_ref: "refs/heads/main".to_owned(),
            copy: Vec::new(),
            pool: Some(pool.clone()),
        };
        let started = Instant::now();
        let created = repository.create_worktree(&request).map_err(part)?;
        warm.push(started.elapsed().as_secs_f64() * 1e3);
        if created.made != Made::Warm || !git(&request.path, &["status", "--porcelain"])?.is_empty() {
            return Err(BenchError::Part(format!("not a warm and clean worktree: {:?}", created.made)));
        }
    }
    remove(&top)?;
    let ((plain, _), (warm, _)) = (middle_and_p99(plain), middle_and_p99(warm));
    let figures = vec![
        Figure::plain("`git worktree add`, the middle one", plain, "ms"),
        Figure::plain("a worktree from the pool, the middle one", warm, "ms"),
        Figure::at_most("the pool against `git worktree add`", warm / plain.max(f64::MIN_POSITIVE), "", 0.1),
    ];
    let about = format!("a repository of {} files, {CHANGED} of them changed since the pool was filled", options.files);
    Ok(Report { machine: facts(), size: "full", about, figures })
}

pub(super) fn part(error: impl std::error::Error) -> BenchError {
    BenchError::Part(error.to_string())
}

fn make_repository(top: &Path, files: usize) -> Result<(), BenchError> {
    git(top, &["init", "-q", "-b", "main"])?;
    git(top, &["config", "gc.auto", "0"])?;
    git(top, &["config", "maintenance.auto", "false"])?;
    git(top, &["config", "user.name", "bench"])?;
    git(top, &["config", "user.email", "bench@localhost"])?;
    for n in 0..files {
        let path = file(top, n);
        if n % 100 == 0 {
            let folder = path.parent().unwrap_or(top);
            std::fs::create_dir_all(folder).map_err(BenchError::io(folder))?;
        }
        std::fs::write(&path, format!("// file {n}\n").repeat(40)).map_err(BenchError::io(&path))?;
    }
    let excluded = top.join(".git/info/exclude");
    std::fs::write(&excluded, ".musher/\n").map_err(BenchError::io(&excluded))?;
    git(top, &["add", "-A"])?;
    git(top, &["commit", "-q", "-m", "files"])?;
    git(top, &["gc", "-q"]).map(drop)
}

/// A commit on the base.
fn change(top: &Path, turn: usize, files: usize) -> Result<(), BenchError> {
    for n in 0..CHANGED.min(files) {
        let path = file(top, n * (files / CHANGED).max(1) % files);
        std::fs::write(&path, format!("// turn {turn}\n")).map_err(BenchError::io(&path))?;
    }
    git(top, &["commit", "-q", "-a", "-m", "turn"]).map(drop)
}

/// A hundred files a folder.
fn file(top: &Path, n: usize) -> PathBuf {
    top.join(format!("d{:02}/e{:02}/f{:02}.rs", n / 10_000, n / 100 % 100, n % 100))
}

pub(super) fn git(folder: &Path, args: &[&str]) -> Result<String, BenchError> {
    let out = Command::new("git").arg("-C").arg(folder).args(args).output().map_err(BenchError::io(folder))?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    Err(BenchError::Part(format!("`git {}`: {}", args.join(" "), String::from_utf8_lossy(&out.stderr))))
}
