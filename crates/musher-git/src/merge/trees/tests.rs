//! Unions of trees at random, against what git says of the same.

use std::collections::{BTreeMap, BTreeSet};

use musher_core::entropy::Entropy;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

/// A path's mode and content.
type Files = BTreeMap<String, (&'static str, String)>;

fn pick<'a>(chance: &mut Entropy, of: &[&'a str]) -> &'a str {
    of[chance.below(of.len() as u64) as usize]
}

/// Names that git sorts otherwise than their bytes, when one is a folder; and names that need quoting.
fn path(chance: &mut Entropy) -> String {
    let mut path = String::new();
    for _ in 0..chance.below(3) {
        path.push_str(pick(chance, &["a", "a.b", "a-", "b", "d \"ü\\"]));
        path.push('/');
    }
    path + pick(chance, &["a", "a.b", "b", "f", "g.rs", "t\tb"])
}

/// Whether a file and a folder of one name would be in it.
fn collides(files: &Files) -> bool {
    let folders: BTreeSet<&str> =
        files.keys().flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at])).collect();
    files.keys().any(|path| folders.contains(&**path))
}

fn some_file(chance: &mut Entropy, files: &Files) -> String {
    files.keys().nth(chance.below(files.len() as u64) as usize).unwrap().clone()
}

fn put(files: &mut Files, path: String, entry: (&'static str, String)) {
    // Whatever stands in the way goes.
    let folder = format!("{path}/");
    files.retain(|other, _| !other.starts_with(&folder) && !path.starts_with(&format!("{other}/")));
    files.insert(path, entry);
}

/// One edit; most are those that can be united.
fn edit(chance: &mut Entropy, files: &mut Files) {
    let content = format!("{}\n", chance.below(1_000)).repeat(8);
    match chance.below(40) {
        0..12 => put(files, path(chance), ("100644", content)),
        12..30 => {
            let path = some_file(chance, files);
            let entry = files.get_mut(&path).unwrap();
            if entry.0 != "160000" {
                entry.1 = content;
            }
        }
        30 => {
            let path = some_file(chance, files);
            files.remove(&path);
        }
        31 => {
            let (path, to) = (some_file(chance, files), path(chance));
            let entry = files.remove(&path).unwrap();
            put(files, to, entry);
        }
        32 => {
            // A folder goes elsewhere: what others add to the old one follows it.
            let moved: Vec<String> = files.keys().filter(|path| path.starts_with("b/")).cloned().collect();
            for path in moved {
                let entry = files.remove(&path).unwrap();
                put(files, format!("a/moved/{}", &path[2..]), entry);
            }
        }
        33 => {
            let path = some_file(chance, files);
            if files[&path].0 == "100644" {
                files.get_mut(&path).unwrap().0 = pick(chance, &["100755", "120000"]);
            }
        }
        34 => put(files, path(chance), (pick(chance, &["100755", "120000"]), content)),
        35 => put(files, format!("{}/.gitattributes", pick(chance, &["a", "b"])), ("100644", content)),
        36 => put(files, "module".into(), ("160000", format!("{:040x}", 1 + chance.below(9)))),
        37 => put(files, format!("{}/new", some_file(chance, files)), ("100644", content)),
        38 => put(files, pick(chance, &["a", "b", "a.b"]).into(), ("100644", content)),
        _ => put(files, "same/new".into(), ("100644", "same\n".into())),
    }
    if files.is_empty() {
        files.insert("last".into(), ("100644", content_of_last()));
    }
}

fn content_of_last() -> String {
    "last\n".into()
}

/// What the module's head says of when a union is taken, said of paths.
fn is_plain(base: &Files, sides: [&Files; 2]) -> bool {
    let plain = |side: &Files| {
        base.keys().all(|path| side.contains_key(path))
            && side.iter().filter(|(path, entry)| base.get(*path) != Some(entry)).all(|(path, entry)| {
                let same_kind = base.get(path).is_none_or(|was| was.0 == entry.0);
                same_kind && entry.0 != "160000" && !path.ends_with(".gitattributes")
            })
    };
    let changed = |side: &Files, path: &String| base.get(path) != side.get(path);
    let [one, other] = sides;
    let apart = one.keys().all(|path| !changed(one, path) || !changed(other, path));
    let mut both = one.clone();
    both.extend(other.clone());
    plain(one) && plain(other) && apart && !collides(&both)
}

fn stream(into: &mut Vec<u8>, name: &str, files: &Files, from: Option<&str>, id: usize) {
    let who = "committer a <a@b> 1700000000 +0000\ndata 1\nx\n";
    let from = from.map(|from| format!("from refs/heads/{from}\n")).unwrap_or_default();
    into.extend(format!("commit refs/heads/{name}\n{who}{from}deleteall\n").bytes());
    for (path, (mode, content)) in files {
        let quoted = path.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
        if *mode == "160000" {
            into.extend(format!("M 160000 {content:0>id$} \"{quoted}\"\n").bytes());
        } else {
            into.extend(format!("M {mode} inline \"{quoted}\"\ndata {}\n{content}\n", content.len()).bytes());
        }
    }
}

fn repository(format: &str) -> (tempfile::TempDir, Git) {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::new(&folder.path().canonicalize().unwrap());
    git.call(["init", "-q", &format!("--object-format={format}")]).ok().unwrap();
    (folder, git)
}

fn id(git: &Git, name: &str) -> ObjectId {
    git.call(["rev-parse", "--verify", name]).ok().unwrap().id().unwrap()
}

/// How many unions were taken, of how many.
fn unions_at_random(seed: u64, cases: usize, format: &str) -> (usize, usize) {
    let mut chance = Entropy::from_seed(seed);
    let (_folder, git) = repository(format);
    let mut text = Vec::new();
    let mut all = Vec::new();
    for case in 0..cases {
        let mut base = Files::new();
        put(&mut base, "last".into(), ("100644", content_of_last()));
        for _ in 0..chance.below(12) {
            let (path, content) = (path(&mut chance), format!("{}\n", chance.below(1_000)).repeat(8));
            put(&mut base, path, ("100644", content));
        }
        if chance.below(4) == 0 {
            put(&mut base, "module".into(), ("160000", format!("{:040x}", 77)));
        }
        let sides = [0, 1].map(|_| {
            let mut side = base.clone();
            for _ in 0..chance.below(5) {
                edit(&mut chance, &mut side);
            }
            side
        });
        let names = ["b", "o", "t"].map(|name| format!("{name}{case}"));
        let width = if format == "sha1" { 40 } else { 64 };
        stream(&mut text, &names[0], &base, None, width);
        stream(&mut text, &names[1], &sides[0], Some(&names[0]), width);
        stream(&mut text, &names[2], &sides[1], Some(&names[0]), width);
        all.push((names, is_plain(&base, [&sides[0], &sides[1]])));
    }
    git.call(["fast-import", "--quiet"]).input(text).ok().unwrap();
    let mut trees = Trees::new(git.clone());
    let mut taken = 0;
    for (names, plain) in &all {
        let [base, ours, theirs] = names.each_ref().map(|name| id(&git, &format!("{name}^{{tree}}")));
        let united = trees.unite(&base, &ours, &theirs);
        let case = || format!("seed {seed}, {names:?}");
        match united {
            Ok(tree) => {
                assert!(plain, "taken: {}", case());
                let said = git.call(["merge-tree", "--write-tree", &names[1], &names[2]]).ok();
                assert_eq!(tree, said.unwrap().id().unwrap(), "{}", case());
                taken += 1;
            }
            Err(Not::Plain) => assert!(!plain, "not taken: {}", case()),
            Err(Not::Able(error)) => panic!("{error}: {}", case()),
        }
    }
    git.call(["fsck", "--strict"]).ok().unwrap();
    (taken, all.len())
}

#[test]
fn a_union_is_what_git_makes_of_it_and_is_taken_where_both_sides_only_add_and_change() {
    for (seed, format) in [(1, "sha1"), (2, "sha1"), (3, "sha256")] {
        let (taken, of) = unions_at_random(seed, 250, format);
        assert!(taken > of / 5 && taken < of * 4 / 5, "{taken} of {of}");
    }
}

/// A tree made of lines as `git mktree` takes them.
fn made(git: &Git, lines: &[String]) -> ObjectId {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    git.call(["mktree", "--missing"]).input(text).ok().unwrap().id().unwrap()
}

#[test]
fn a_tree_that_git_would_put_right_on_its_way_is_left_to_git() {
    let (_folder, git) = repository("sha1");
    let blob = |text: &str| git.call(["hash-object", "-w", "--stdin"]).input(text).ok().unwrap().id().unwrap();
    let file = |name: &str, text: &str| format!("100644 blob {}\t{name}", blob(text));
    let none = made(&git, &[]);
    let base = made(&git, &[file("a", "1")]);
    let ours = made(&git, &[file("a", "1"), file("b", "1")]);
    let plain = made(&git, &[file("a", "2")]);
    let with_nothing = made(&git, &[file("a", "2"), format!("040000 tree {none}\tempty")]);
    // Modes that git wrote long ago, and entries out of order.
    let old = |bytes: &[u8]| {
        git.call(["hash-object", "-t", "tree", "-w", "--stdin", "--literally"]).input(bytes).ok().unwrap().id().unwrap()
    };
    let entry = |mode: &str, name: &str, text: &str| {
        let id = blob(text);
        let hex = id.as_str();
        let raw = (0..20).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap());
        format!("{mode} {name}\0").bytes().chain(raw).collect::<Vec<u8>>()
    };
    let group = old(&entry("100664", "a", "2"));
    let disorder = old(&[entry("100644", "c", "1"), entry("100644", "a", "2")].concat());
    let twice = old(&[entry("100644", "a", "1"), entry("100644", "a", "2")].concat());
    let mut trees = Trees::new(git.clone());
    assert!(trees.unite(&base, &ours, &plain).is_ok());
    for tree in [&with_nothing, &group, &disorder, &twice, &none] {
        for sides in [[&ours, tree], [tree, &ours], [&base, tree]] {
            let united = trees.unite(&base, sides[0], sides[1]);
            assert!(matches!(united, Err(Not::Plain)), "{united:?} of {sides:?}, {tree}");
        }
    }
}

#[test]
fn what_is_missing_or_no_tree_is_left_to_git() {
    let (_folder, git) = repository("sha1");
    let blob = git.call(["hash-object", "-w", "--stdin"]).input("x").ok().unwrap().id().unwrap();
    let base = made(&git, &[format!("100644 blob {blob}\ta")]);
    let ours = made(&git, &[format!("100644 blob {blob}\ta"), format!("100644 blob {blob}\tb")]);
    let gone = ObjectId::parse(&"12".repeat(20)).unwrap();
    let hollow = made(&git, &[format!("100644 blob {blob}\ta"), format!("040000 tree {gone}\td")]);
    let mut trees = Trees::new(git);
    for theirs in [&gone, &blob, &hollow] {
        let united = trees.unite(&base, &ours, theirs);
        assert!(matches!(united, Err(Not::Plain)), "{united:?} with {theirs}");
    }
    assert!(trees.unite(&base, &ours, &base).is_ok(), "and the next is read as ever");
}

#[test]
fn what_reads_and_writes_is_reaped_whether_it_is_done_or_was_killed() {
    let (_folder, git) = repository("sha1");
    let blob = git.call(["hash-object", "-w", "--stdin"]).input("x").ok().unwrap().id().unwrap();
    let with = |names: &[&str]| {
        let lines: Vec<String> = names.iter().map(|name| format!("100644 blob {blob}\t{name}")).collect();
        made(&git, &lines)
    };
    let (base, ours, theirs) = (with(&["a"]), with(&["a", "b"]), with(&["a", "c"]));
    let mut trees = Trees::new(git.clone());
    assert_eq!(trees.unite(&base, &ours, &theirs).unwrap(), with(&["a", "b", "c"]));
    let pid = |dialogue: &Option<Dialogue>| Pid::from_raw(dialogue.as_ref().unwrap().pid());
    let (reader, writer) = (pid(&trees.reader), pid(&trees.writer));
    kill(writer, Signal::SIGKILL).unwrap();
    let (more, other) = (with(&["a", "b", "e"]), with(&["a", "c", "f"]));
    for _ in 0..2 {
        assert!(matches!(trees.unite(&base, &more, &other), Err(Not::Able(_))), "its writer is killed");
    }
    kill(reader, Signal::SIGKILL).unwrap();
    assert!(matches!(trees.unite(&base, &ours, &with(&["a", "g"])), Err(Not::Able(_))), "its reader is killed");
    drop(trees);
    assert!(kill(reader, None).is_err() && kill(writer, None).is_err(), "both are reaped");
    let mut trees = Trees::new(git);
    trees.unite(&base, &ours, &theirs).unwrap();
    let (reader, writer) = (pid(&trees.reader), pid(&trees.writer));
    drop(trees);
    assert!(kill(reader, None).is_err() && kill(writer, None).is_err(), "both are reaped");
}

#[test]
fn a_tree_larger_than_a_pipe_goes_in_and_out() {
    let (_folder, git) = repository("sha1");
    let blob = git.call(["hash-object", "-w", "--stdin"]).input("x").ok().unwrap().id().unwrap();
    let many = |more: &[&str]| {
        let names = (0..20_000).map(|n| format!("file-{n:06}")).chain(more.iter().map(|name| (*name).to_owned()));
        made(&git, &names.map(|name| format!("100644 blob {blob}\t{name}")).collect::<Vec<_>>())
    };
    let (base, ours, theirs, all) = (many(&[]), many(&["a"]), many(&["z"]), many(&["a", "z"]));
    assert_eq!(Trees::new(git).unite(&base, &ours, &theirs).unwrap(), all);
}
