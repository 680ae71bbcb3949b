//! Commands that run another command: `timeout 5 cargo test`, `sh -c '…'`, `find . -exec …`.

use super::pattern::Letter;
use super::shell::Word;

/// What a command would run beside itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// Nothing that is known here.
    Nothing,
    /// This command, with these assignments; `outer` says that the wrapper needs to be allowed as well.
    Command { assigned: Vec<Word>, words: Vec<Word>, outer: bool },
    /// This text, by a shell.
    Text { text: String, outer: bool },
    /// These commands; and itself does something too.
    Several(Vec<Vec<Word>>),
    /// Something, by rules of its own or on another machine: whoever allows it allows that too.
    Elsewhere,
    /// Something, but not to be told what.
    Hidden,
}

/// Looks into a command.
pub(super) fn open(words: &[Word]) -> Inside {
    let Some(name) = words.first().and_then(Word::known) else { return Inside::Nothing };
    // As a wrapper counts what the system has: `./timeout` is a program of its own.
    let base = ["/bin/", "/usr/bin/"].iter().find_map(|dir| name.strip_prefix(dir)).unwrap_or(&name);
    let rest = &words[1..];
    match base {
        "sh" | "bash" | "dash" | "zsh" | "ksh" | "ash" => shell(rest),
        "eval" => text(rest, false),
        "watch" | "ssh" | "su" | "parallel" | "script" | "entr" | "strace" | "ltrace" | "unshare" | "nsenter"
        | "setpriv" | "runuser" | "pkexec" | "systemd-run" => Inside::Elsewhere,
        "trap" => trap(rest),
        "find" => find(rest),
        "command" if rest.first().and_then(Word::known).is_some_and(|o| o == "-v" || o == "-V") => Inside::Nothing,
        _ => match WRAPPERS.iter().find(|w| w.name == base) {
            Some(wrapper) => wrapper.open(rest),
            None => Inside::Nothing,
        },
    }
}

fn shell(words: &[Word]) -> Inside {
    let mut script = false;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let Some(option) = word.known() else { return Inside::Hidden };
        match option.as_str() {
            "--login" | "--norc" | "--noprofile" | "--posix" => {}
            "--" | "-" => return Inside::Hidden,
            long if long.starts_with("--") => return Inside::Hidden,
            bundle if bundle.starts_with(['-', '+']) => {
                script |= bundle.contains('c');
                // `-o pipefail` and `-O extglob` take the next word, the last of which changes the grammar.
                if bundle.contains('O') || (bundle.contains('o') && rest.next().and_then(Word::known).is_none()) {
                    return Inside::Hidden;
                }
            }
            body if script => return Inside::Text { text: body.to_owned(), outer: false },
            // A script file, which is a command like any other.
            _ => return Inside::Nothing,
        }
    }
    // It reads what it runs from its input.
    Inside::Hidden
}

fn text(words: &[Word], outer: bool) -> Inside {
    match words.iter().map(Word::known).collect::<Option<Vec<_>>>() {
        Some(words) => Inside::Text { text: words.join(" "), outer },
        None => Inside::Hidden,
    }
}

fn trap(words: &[Word]) -> Inside {
    match words.first().map(Word::known) {
        Some(Some(body)) if !body.starts_with('-') => Inside::Text { text: body, outer: true },
        Some(_) => Inside::Hidden,
        None => Inside::Nothing,
    }
}

fn find(words: &[Word]) -> Inside {
    let is = |word: &Word, names: &[&str]| word.known().is_some_and(|w| names.contains(&w.as_str()));
    let starts = words.iter().enumerate().filter(|(_, w)| is(w, &["-exec", "-execdir", "-ok", "-okdir"]));
    let command = |(at, _): (usize, &Word)| -> Vec<Word> {
        words[at + 1..].iter().take_while(|w| !is(w, &[";", "+"])).cloned().collect()
    };
    let commands: Vec<Vec<Word>> = starts.map(command).filter(|words| !words.is_empty()).collect();
    // One that itself wraps another is not followed further.
    match commands.iter().all(|words| open_plain(words)) {
        true if commands.is_empty() => Inside::Nothing,
        true => Inside::Several(commands),
        false => Inside::Hidden,
    }
}

fn open_plain(words: &[Word]) -> bool {
    let find = words.first().and_then(Word::known).is_none_or(|name| name.ends_with("find"));
    !find && open(words) == Inside::Nothing
}

/// A command whose last words are another command.
struct Wrapper {
    name: &'static str,
    /// Its one-letter options without a value.
    flags: &'static str,
    /// Its one-letter options with a value.
    valued: &'static str,
    /// Its long options; a value can only follow after `=`.
    long: &'static [&'static str],
    /// How many words stand between the options and the command.
    skip: usize,
    /// Whether it gives the command more power, and so needs a rule itself.
    outer: bool,
}

impl Wrapper {
    const fn new(name: &'static str, flags: &'static str, valued: &'static str) -> Self {
        Self { name, flags, valued, long: &[], skip: 0, outer: false }
    }

    fn open(&self, words: &[Word]) -> Inside {
        let Some(start) = self.start(words) else { return Inside::Hidden };
        let mut inner = words.get(start + self.skip..).unwrap_or_default();
        let mut assigned = Vec::new();
        if self.name == "env" {
            let count = inner.iter().take_while(|word| word.letters.contains(&Letter::Is('='))).count();
            assigned = inner[..count].to_vec();
            inner = &inner[count..];
        }
        if inner.is_empty() {
            return Inside::Nothing;
        }
        let mut words = inner.to_vec();
        if self.name == "xargs" {
            words.push(Word::gap());
        }
        Inside::Command { assigned, words, outer: self.outer }
    }

    /// Where its options end; none where one is not known, since then the command's place is not.
    fn start(&self, words: &[Word]) -> Option<usize> {
        let mut at = 0;
        while let Some(word) = words.get(at) {
            // Only a word that may begin with a dash matters; an unknown one may.
            match word.letters.first() {
                Some(Letter::Is('-') | Letter::Any) => {}
                Some(Letter::Is(_)) | None => return Some(at),
            }
            let option = word.known()?;
            at += 1;
            if option == "--" {
                return Some(at);
            }
            if option.starts_with("--") {
                self.long.contains(&option.split('=').next().unwrap_or_default()).then_some(())?;
                continue;
            }
            for (index, letter) in option.char_indices().skip(1) {
                if self.valued.contains(letter) {
                    at += usize::from(index + letter.len_utf8() == option.len());
                    break;
                }
                self.flags.contains(letter).then_some(())?;
            }
        }
        Some(at.min(words.len()))
    }
}

const WRAPPERS: &[Wrapper] = &[
    Wrapper::new("builtin", "", ""),
    Wrapper { outer: true, ..Wrapper::new("busybox", "", "") },
    Wrapper { outer: true, skip: 1, ..Wrapper::new("chroot", "", "") },
    Wrapper::new("command", "p", ""),
    Wrapper { outer: true, ..Wrapper::new("doas", "n", "u") },
    Wrapper { long: &["--ignore-environment", "--debug"], ..Wrapper::new("env", "iv", "u") },
    Wrapper::new("exec", "cl", "a"),
    Wrapper { outer: true, skip: 1, ..Wrapper::new("flock", "sxenuo", "wE") },
    Wrapper::new("ionice", "t", "cn"),
    Wrapper::new("nice", "0123456789", "n"),
    Wrapper::new("nohup", "", ""),
    Wrapper::new("setsid", "cfw", ""),
    Wrapper::new("stdbuf", "", "ioe"),
    Wrapper { outer: true, ..Wrapper::new("sudo", "EHnSbkP", "ugp") },
    Wrapper::new("time", "pv", ""),
    Wrapper {
        skip: 1,
        long: &["--foreground", "--preserve-status", "--verbose", "--kill-after", "--signal"],
        ..Wrapper::new("timeout", "v", "ks")
    },
    Wrapper { long: &["--null", "--no-run-if-empty", "--verbose"], ..Wrapper::new("xargs", "0rtx", "nPLsdE") },
];
