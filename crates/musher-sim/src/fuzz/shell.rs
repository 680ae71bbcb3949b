//! Approvals: no text around a command makes it more allowed, and no further rule does.

use std::path::{Component, Path};

use musher_core::approval::{Action, Rule, Rules, Ruling, default_rules, rule};

use super::change::place;
use super::{Read, must};
use crate::chance::Chance;

const WORKTREE: &str = "/w/tree";

/// How deep commands are put into each other.
const DEPTH: u64 = 4;

/// Checks commands that are made of the words of the input, in and beside each other.
pub(super) fn holds(_: &str, input: &[u8], chance: &mut Chance) -> Result<Read, String> {
    let words = words(input);
    let rules = some_rules(chance);
    let mut whole = simple(&words, chance);
    let mut ruling = judged(&rules, &whole);
    let (mut understood, mut hides) = (Read::Refused, false);
    for _ in 0..chance.below(DEPTH) {
        let other = simple(&words, chance);
        let beside = judged(&rules, &other);
        let place = chance.pick(PLACES).copied().unwrap_or("@");
        let (outer, parts) = put(place, &whole, &other);
        let around = judged(&rules, &outer);
        hides |= HIDING.contains(&place);
        let worst = if parts == 2 { floor(&ruling, hides).max(floor(&beside, hides)) } else { floor(&ruling, hides) };
        must!(
            rank(&around) >= worst,
            "more is allowed in {place:?}: {outer:?} is {around:?}, {whole:?} is {ruling:?}, {other:?} is {beside:?}"
        );
        (whole, ruling) = (outer, around);
        understood = Read::Understood;
    }
    Ok(understood)
}

/// Checks the input itself as a command, as a path and address, and its lines as rules.
pub(super) fn rules(_: &str, input: &[u8], chance: &mut Chance) -> Result<Read, String> {
    let text = String::from_utf8_lossy(input).into_owned();
    let mut understood = Read::Refused;
    let mut read = Vec::new();
    for line in text.lines().take(8) {
        let class = chance.pick(&["", "shell:", "edit:", "read:", "fetch:", "tool:"]).copied().unwrap_or_default();
        if let Ok(rule) = Rule::parse(&format!("{class}{line}")) {
            must!(Rule::parse(rule.as_str()).as_ref() == Ok(&rule), "`{rule}` is not read again");
            read.push(rule);
            understood = Read::Understood;
        }
    }
    let split = place(read.len() + 1, chance);
    let (some, more) = read.split_at(split);
    let actions = actions(&text, chance);
    let plain = Rules { allow: some.into(), ..some_rules(chance) };
    let nothing = Rules { allow: Box::default(), allow_inside: Box::default(), ..plain.clone() };
    let denies = plain.clone().with(Vec::new(), more.to_vec());
    let asks = Rules { ask: [&*plain.ask, more].concat().into(), ..plain.clone() };
    let allows = plain.clone().with(more.to_vec(), Vec::new());
    let inside = Rules { allow: list(&["edit", "read", "edit:**", "read:**"]), ..Rules::default() };
    for action in &actions {
        let judged = |rules: &Rules| rule(rules, action, WORKTREE);
        must!(judged(&plain) == judged(&plain), "{action:?} is judged in two ways");
        must!(judged(&nothing) != Ruling::Allow, "{action:?} is allowed by no rule");
        must!(rank(&judged(&denies)) >= rank(&judged(&plain)), "a rule that denies allows {action:?}: {denies:?}");
        must!(rank(&judged(&asks)) >= rank(&judged(&plain)), "a rule that asks allows {action:?}: {asks:?}");
        must!(rank(&judged(&allows)) <= rank(&judged(&plain)), "a rule that allows forbids {action:?}: {allows:?}");
        must!(stays(action) || judged(&inside) != Ruling::Allow, "{action:?} leaves the worktree");
    }
    let first = format!("rm -rf x\n{text}");
    let denied = Rules { allow: list(&["shell"]), deny: list(&["shell:rm -rf *"]), ..Rules::default() };
    must!(rank(&judged(&denied, &first)) == 2, "what follows a denied command hides it: {first:?}");
    Ok(understood)
}

/// Whether all files that it names are in the worktree.
fn stays(action: &Action) -> bool {
    match action {
        Action::Edit(paths) | Action::Read(paths) => paths.iter().all(|path| is_inside(path)),
        Action::Shell(_) | Action::Fetch(_) | Action::Other(..) => true,
    }
}

/// Whether a path leads into the worktree, by its text.
fn is_inside(path: &str) -> bool {
    let path = if path.starts_with('/') { Path::new(path) } else { &Path::new(WORKTREE).join(path) };
    let mut whole = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(whole.pop()),
            Component::Normal(name) => whole.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    whole.starts_with(&["w".as_ref(), "tree".as_ref()])
}

fn actions(text: &str, chance: &mut Chance) -> Vec<Action> {
    let line = text.lines().next().unwrap_or_default();
    let away = line.replacen(' ', &"/..".repeat(place(6, chance)), place(3, chance));
    let away = "../".repeat(place(4, chance)) + &away;
    vec![
        Action::Edit([format!("src/{away}").into()].into()),
        Action::Read([away.into()].into()),
        Action::Shell(text.into()),
        Action::Shell(line.into()),
        Action::Edit([line.into()].into()),
        Action::Edit([format!("src/{line}").into(), "a".into()].into()),
        Action::Read([format!("{WORKTREE}/{line}").into()].into()),
        Action::Fetch(line.into()),
        Action::Fetch(format!("https://{line}").into()),
        Action::Other("tool".into(), line.into()),
        Action::Other(line.into(), text.into()),
    ]
}

fn judged(rules: &Rules, command: &str) -> Ruling {
    rule(rules, &Action::Shell(command.into()), WORKTREE)
}

fn rank(ruling: &Ruling) -> u8 {
    match ruling {
        Ruling::Allow => 0,
        Ruling::Ask => 1,
        Ruling::Deny(_) => 2,
    }
}

/// What is left of a ruling in another place. A text that is only looked through keeps its denied commands; a person is
/// asked about its files.
fn floor(ruling: &Ruling, hides: bool) -> u8 {
    match ruling {
        Ruling::Deny(why) if hides && why.contains("rule `edit") => 1,
        Ruling::Deny(_) | Ruling::Ask | Ruling::Allow => rank(ruling),
    }
}

/// The words of a text that are only words to any shell, and those of the language.
fn words(input: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(input);
    let plain = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || "_./=+,:%@-".contains(c));
    // A word that a shell takes for its own would end what it stands in.
    let own = ["if", "then", "else", "elif", "fi", "do", "done", "for", "while", "until", "case", "esac", "in", "time"];
    let more = ["function", "select", "coproc"];
    let words = text.split_whitespace().filter(plain).filter(|word| !own.contains(word) && !more.contains(word));
    words.take(64).map(str::to_owned).chain(KNOWN.iter().map(|word| (*word).to_owned())).collect()
}

/// A simple command of these words, some of them in quotes.
fn simple(words: &[String], chance: &mut Chance) -> String {
    let mut command = Vec::new();
    if chance.one_in(6) {
        command.push(chance.pick(BEFORE).copied().unwrap_or_default().to_owned());
    }
    for at in 0..=chance.below(4) {
        let word = if at == 0 && chance.one_in(2) {
            chance.pick(KNOWN).copied().unwrap_or_default().to_owned()
        } else {
            chance.pick(words).cloned().unwrap_or_default()
        };
        // To what comes before it, such a name would be an option.
        let word = if at == 0 && word.starts_with(['-', '+']) { "x".to_owned() } else { word };
        command.push(match chance.below(12) {
            0 => format!("'{word}'"),
            1 => format!("\"{word}\""),
            2 => format!("\\{word}"),
            3 if at > 0 => format!("\"$X{word}\""),
            4 if at > 0 => format!("'{word} {word}'"),
            5 if at > 0 => format!("{word}*"),
            _ => word,
        });
    }
    if chance.one_in(6) {
        command.push(chance.pick(REDIRECTS).copied().unwrap_or_default().to_owned());
    }
    command.join(" ")
}

/// The commands in their places, and how many of them stand there. `@` is the first, `%` the other, `'` quotes.
fn put(place: &str, inner: &str, other: &str) -> (String, usize) {
    let quoted = format!("'{}'", inner.replace('\'', "'\\''"));
    let mut whole = String::new();
    for letter in place.chars() {
        match letter {
            '@' => whole.push_str(inner),
            '%' => whole.push_str(other),
            '^' => whole.push_str(&quoted),
            letter => whole.push(letter),
        }
    }
    (whole, 1 + usize::from(place.contains('%')))
}

fn some_rules(chance: &mut Chance) -> Rules {
    match chance.below(4) {
        0 => default_rules(),
        1 => default_rules().with(Vec::new(), list(&["shell:rm *", "shell:git push *", "edit:out.txt"]).into_vec()),
        2 => Rules { allow: list(&["shell"]), deny: list(&["shell:rm -rf *", "shell:git push *"]), ..Rules::default() },
        _ => Rules {
            allow: list(&["shell:cargo *", "shell:git *", "shell:ls *", "shell:echo *", "edit:*.txt", "read"]),
            ask: list(&["shell:git push *"]),
            deny: list(&["shell:* --force *", "shell:rm *"]),
            allow_inside: list(&["shell:cat *", "shell:find *"]),
        },
    }
}

fn list(texts: &[&str]) -> Box<[Rule]> {
    texts.iter().filter_map(|text| Rule::parse(text).ok()).collect()
}

const KNOWN: &[&str] = &[
    "ls",
    "cat",
    "cargo",
    "git",
    "push",
    "rm",
    "-rf",
    "-r",
    "-f",
    "--force",
    "find",
    "-exec",
    "-delete",
    "echo",
    "/bin/rm",
    "x",
    "src/a.rs",
    "../up",
    "/etc/passwd",
    "cd",
    "sudo",
    "timeout",
    "5",
    "sh",
    "-c",
    "test",
    "-f",
    "true",
];

const BEFORE: &[&str] =
    &["X=1", "env X=1", "nohup", "timeout 5", "sudo", "exec", "time", "nice -n 5", "xargs", "command"];

const REDIRECTS: &[&str] =
    &["> out.txt", ">> /etc/x", "< in.txt", "2>&1", "> /dev/null", "<<< x", "&> log.txt", "< /etc/x"];

/// The places in which a command is only looked for, not read; a text to its end line is broken by what it is put in.
const HIDING: &[&str] = &["[[ -n $( @) ]]", "echo ${Y:-$( @)}", "cat <<E\n$( @)\nE", "echo `%` && ( @)"];

const PLACES: &[&str] = &[
    "@ && %",
    "% && @",
    "@ || %",
    "% || @",
    "@; %",
    "%\n@",
    "{ @\n} | %",
    "% |& { @\n}",
    "@ & %",
    "( @\n)",
    "{ @; }",
    "! @",
    "echo $( @)",
    "echo \"$( @)\"",
    "cat <( @)",
    "X=$( @)",
    "if @; then %; fi",
    "if %; then @; else true; fi",
    "while %; do @; done",
    "until @; do %; done",
    "for i in a b; do @; done",
    "for i in $( @); do %; done",
    "case x in x) @;; *) %;; esac",
    "f() { @; }",
    "[[ -n $( @) ]]",
    "sh -c ^",
    "bash -lc ^",
    "eval ^",
    "echo `%` && ( @)",
    "echo ${Y:-$( @)}",
    "cat <<E\n$( @)\nE",
];
