//! Branches of histories at random, merged one on another, against what git says of the same commits.

use musher_core::entropy::Entropy;

use super::*;
use crate::merge::BatchMember;
use crate::names::{BranchName, Identity, Message};

/// How clocks went when commits were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clocks {
    Right,
    Wrong,
}

struct History {
    _folder: tempfile::TempDir,
    git: Git,
    commits: Vec<ObjectId>,
}

/// A history of so many commits. Each has a file of its own; some set one that others set too, and set back again: who
/// takes an older ancestor for the best one gets another merge.
fn history(chance: &mut Entropy, commits: u64, clocks: Clocks) -> History {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::new(&folder.path().canonicalize().unwrap());
    git.call(["init", "-q"]).ok().unwrap();
    let mut text = String::new();
    for n in 1..=commits {
        let time = 1_700_000_000 + if clocks == Clocks::Right { n } else { chance.below(100_000) };
        text += &format!("commit refs/heads/c{n}\nmark :{n}\ncommitter a <a@b> {time} +0000\ndata 1\nx\n");
        if n > 1 {
            // Mostly on one of the last: long histories and not only broad ones.
            let near = |chance: &mut Entropy| n - 1 - chance.below((n - 1).min(if n < 30 { 2 } else { 12 }));
            let first = near(chance);
            text += &format!("from :{first}\n");
            let second = near(chance);
            if chance.below(8) == 0 && second != first {
                text += &format!("merge :{second}\nM 100644 inline d{}/f{second}\ndata 2\nx\n\n", second % 3);
            }
        }
        text += &format!("M 100644 inline d{}/f{n}\ndata 2\nx\n\n", n % 3);
        if chance.below(3) == 0 {
            let (file, content) = (chance.below(4), chance.below(2));
            text += &format!("M 100644 inline shared/f{file}\ndata 2\n{content}\n\n");
        }
    }
    git.call(["fast-import", "--quiet"]).input(text).ok().unwrap();
    let names: Vec<String> = (1..=commits).map(|n| format!("c{n}")).collect();
    let answer = git.call(["rev-parse"]).args(names).ok().unwrap().line();
    let commits = answer.lines().map(|line| ObjectId::parse(line).unwrap()).collect();
    History { _folder: folder, git, commits }
}

fn request(style: MergeStyle, heads: &[&ObjectId]) -> BatchRequest {
    let member =
        |head: &&ObjectId| BatchMember { head: (*head).clone(), message: Message::default(), name: "m/i".into() };
    BatchRequest {
        target: BranchName::parse("main").unwrap(),
        style,
        identity: Identity::fallback(),
        time_s: 0,
        members: heads.iter().map(member).collect(),
    }
}

/// Merges some branches one on another by way of unions, and each by git as well; how many unions were taken.
fn merged(chance: &mut Entropy, history: &History, style: MergeStyle) -> usize {
    let History { git, commits, .. } = history;
    let some = |chance: &mut Entropy| &commits[chance.below(commits.len() as u64) as usize];
    let base = some(chance);
    let heads: Vec<&ObjectId> = (0..6).map(|_| some(chance)).collect();
    let mut unions = Unions::new(git, base, &request(style, &heads)).unwrap();
    let (mut tip, mut taken) = (base.clone(), 0);
    for head in heads {
        let tree = git.call(["rev-parse", &format!("{tip}^{{tree}}")]).ok().unwrap().id().unwrap();
        let union = unions.of(&tree, head);
        let said = git.call(["merge-tree", "--write-tree", tip.as_str(), head.as_str()]).run().unwrap();
        if let Some(union) = &union {
            assert!(said.success(), "git sees a conflict: {}", said.line());
            assert_eq!(*union, said.id().unwrap(), "{style:?}: {head} onto {tip}, which began with {base}");
            taken += 1;
        }
        if !said.success() {
            continue;
        }
        let merged = said.id().unwrap();
        let parents = if style == MergeStyle::Merge { vec!["-p", head.as_str()] } else { Vec::new() };
        let ada = git.clone().global("-c").global("user.name=ada").global("-c").global("user.email=a@b");
        let call = ada.call(["commit-tree", merged.as_str(), "-m", "m", "-p", tip.as_str()]).args(parents);
        let commit = call.ok().unwrap().id().unwrap();
        unions.moved(&commit, head, style);
        tip = commit;
    }
    taken
}

#[test]
fn branches_of_any_history_are_merged_as_git_merges_them() {
    for clocks in [Clocks::Right, Clocks::Wrong] {
        let mut chance = Entropy::from_seed(1);
        let history = history(&mut chance, 60, clocks);
        for style in [MergeStyle::Squash, MergeStyle::Merge] {
            let taken: usize = (0..4).map(|_| merged(&mut chance, &history, style)).sum();
            assert!(taken > 0, "with clocks {clocks:?}, {style:?}");
        }
    }
}

/// A history of commits with a name, a time, parents, and the file that they set to something.
fn told(commits: &[(&str, u64, &[&str], &str)]) -> (tempfile::TempDir, Git) {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::new(&folder.path().canonicalize().unwrap());
    git.call(["init", "-q"]).ok().unwrap();
    let mut text = String::new();
    for (name, time, parents, sets) in commits {
        text += &format!("commit refs/heads/{name}\ncommitter a <a@b> {time} +0000\ndata 1\nx\n");
        for (parent, word) in parents.iter().zip(["from", "merge"]) {
            text += &format!("{word} refs/heads/{parent}\n");
        }
        let (file, to) = sets.split_once('=').unwrap();
        text += &format!("M 100644 inline {file}\ndata {}\n{to}\n", to.len());
    }
    git.call(["fast-import", "--quiet"]).input(text).ok().unwrap();
    (folder, git)
}

fn named(git: &Git, name: &str) -> ObjectId {
    git.call(["rev-parse", name]).ok().unwrap().id().unwrap()
}

#[test]
fn what_the_tip_has_of_a_branch_by_another_one_is_not_merged_again() {
    // Both stand on a commit that the base has not; the second takes back what that one set.
    let (_folder, git) = told(&[
        ("base", 1, &[], "f=a"),
        ("first", 2, &["base"], "f=b"),
        ("second", 3, &["first"], "f=a"),
        ("third", 3, &["base"], "third=c"),
    ]);
    let [base, first, second, third] = ["base", "first", "second", "third"].map(|name| named(&git, name));
    for (style, parents) in [(MergeStyle::Merge, 2), (MergeStyle::Squash, 1)] {
        let mut unions = Unions::new(&git, &base, &request(style, &[&first, &second, &third])).unwrap();
        let tree = unions.of(&named(&git, "base^{tree}"), &first).unwrap();
        assert_eq!(tree, named(&git, "first^{tree}"));
        let on = [base.as_str(), first.as_str()].into_iter().take(parents).flat_map(|parent| ["-p", parent]);
        let ada = git.clone().global("-c").global("user.name=ada").global("-c").global("user.email=a@b");
        let commit = ada.call(["commit-tree", tree.as_str(), "-m", "m"]).args(on).ok().unwrap().id().unwrap();
        unions.moved(&commit, &first, style);
        let said = git.call(["merge-tree", "--write-tree", commit.as_str(), second.as_str()]).ok().unwrap();
        let want = (style == MergeStyle::Squash).then(|| said.id().unwrap());
        assert_eq!(unions.of(&tree, &second), want, "{style:?}");
        assert!(unions.of(&tree, &third).is_some(), "{style:?}");
    }
}

#[test]
fn what_the_base_has_is_no_part_of_a_branch_however_the_clocks_went() {
    // From the base, `x` is reached only over commits that are dated long before it, and git stops listing before.
    let mut commits: Vec<(&str, u64, &[&str], &str)> = vec![("root", 50, &[], "f=a"), ("x", 100, &["root"], "f=b")];
    let old = ["y0", "y1", "y2", "y3", "y4", "y5", "y6", "y7", "y8", "y9"];
    let on: Vec<[&str; 1]> = std::iter::once("x").chain(old).map(|name| [name]).collect();
    for (name, on) in old.into_iter().zip(&on) {
        commits.push((name, 1, on, "f=a"));
    }
    commits.push(("base", 300, &["root", "y9"], "f=a"));
    commits.push(("head", 200, &["x"], "g=b"));
    let (_folder, git) = told(&commits);
    let [base, head] = ["base", "head"].map(|name| named(&git, name));
    assert_eq!(git.call(["rev-list", "--count", "base..head"]).ok().unwrap().line(), "2", "git lists `x`, too");
    let mut unions = Unions::new(&git, &base, &request(MergeStyle::Squash, &[&head, &head, &head])).unwrap();
    let union = unions.of(&named(&git, "base^{tree}"), &head);
    let said = git.call(["merge-tree", "--write-tree", "base", "head"]).ok().unwrap().id().unwrap();
    assert!(union.as_ref().is_none_or(|union| *union == said), "{union:?} and not {said}");
}
