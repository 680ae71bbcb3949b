//! What a command text would run, read by a shell's grammar.

use rable::{Node, NodeKind};

use super::pattern::{Fit, Letter, fits, letters};
use super::wrapper::{Inside, open};

mod word;

pub(super) use word::Word;

/// What a text would run and touch, as far as it can be known without running it.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Its simple commands.
    pub(super) commands: Vec<Simple>,
    /// The files that it redirects to.
    pub(super) writes: Vec<Box<str>>,
    /// The files that it redirects from.
    pub(super) reads: Vec<Box<str>>,
    /// Whether there is more to it than the above.
    pub(super) unclear: bool,
}

/// A command and its arguments.
#[derive(Debug)]
pub(super) struct Simple {
    pub(super) words: Vec<Word>,
    pub(super) need: Need,
}

/// What a command of a script needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// A rule that allows it.
    Allow,
    /// Nothing: it may be run, or is another view of one that needs it; it only must not be denied.
    Seen,
}

/// Reads a text. What is too long or too deep to be read is unclear, and looked through roughly.
pub(super) fn read(text: &str) -> Script {
    let mut reader = Reader::default();
    reader.text(text);
    let Reader { mut script, moved, .. } = reader;
    // After `cd`, a relative path may be anywhere.
    script.unclear |= moved && script.writes.iter().chain(&script.reads).any(|path| !path.starts_with('/'));
    script
}

impl Simple {
    /// The words, joined by single spaces, for people.
    pub(super) fn text(&self) -> String {
        self.words.iter().map(Word::shown).collect::<Vec<_>>().join(" ")
    }

    /// Whether a pattern that allows speaks of this command, exactly as it is written.
    pub(super) fn written(&self, pattern: &str) -> bool {
        let plain = |name: String| !name.is_empty() && !name.contains(char::is_whitespace);
        self.words.first().and_then(Word::known).is_some_and(plain) && glob(pattern, &join(&self.words), Fit::Surely)
    }

    /// Whether a pattern that denies or asks speaks of this command: in any folder, with its options in any order,
    /// bundled or apart, and the usual long ones for short ones.
    pub(super) fn caught(&self, pattern: &str, fit: Fit) -> bool {
        let Some((name, rest)) = self.words.split_first() else { return false };
        let base = name.base();
        let first = letters(pattern.split(' ').next().unwrap_or_default());
        if !fits(&first, &base.letters, fit) && !fits(&first, &name.letters, fit) {
            return false;
        }
        let mut named = vec![base];
        named.extend(rest.iter().cloned());
        glob(pattern, &join(&self.words), fit)
            || glob(pattern, &join(&named), fit)
            || options_caught(pattern, &named, fit)
    }
}

/// Matches words and options apart: `rm -rf *` also speaks of `rm x --force -r`.
fn options_caught(pattern: &str, words: &[Word], fit: Fit) -> bool {
    let (options, plain): (Vec<&str>, Vec<&str>) = pattern.split(' ').partition(|w| w.starts_with('-') && w.len() > 1);
    if options.is_empty() || options.iter().any(|o| o.contains('*')) {
        return false;
    }
    let dashed = |w: &&Word| w.letters.first() == Some(&Letter::Is('-'));
    let given: Vec<String> = words.iter().filter(dashed).flat_map(|w| named_options(&w.shown())).collect();
    let gap = fit == Fit::Maybe && words.iter().any(|w| w.known().is_none());
    let has = |option: &String| given.contains(option) || gap;
    let others: Vec<Word> = words.iter().filter(|w| !dashed(w)).cloned().collect();
    options.iter().flat_map(|o| named_options(o)).all(|o| has(&o)) && glob(&plain.join(" "), &join(&others), fit)
}

/// The options in a word: each letter of a bundle; a long one without its value, or its usual letter.
fn named_options(word: &str) -> Vec<String> {
    let Some(long) = word.strip_prefix("--") else {
        return word.chars().skip(1).map(|c| if c == 'R' { "r".to_owned() } else { c.to_string() }).collect();
    };
    let long = long.split('=').next().unwrap_or(long);
    match long {
        "recursive" => vec!["r".to_owned()],
        "force" => vec!["f".to_owned()],
        other => vec![other.to_owned()],
    }
}

/// Whether a text fits a pattern, of which a final ` *` may be missing.
fn glob(pattern: &str, text: &[Letter], fit: Fit) -> bool {
    fits(&letters(pattern), text, fit) || pattern.strip_suffix(" *").is_some_and(|bare| fits(&letters(bare), text, fit))
}

fn join(words: &[Word]) -> Vec<Letter> {
    words.iter().map(|w| w.letters.as_slice()).collect::<Vec<_>>().join(&Letter::Is(' '))
}

#[derive(Default)]
struct Reader {
    script: Script,
    /// How many texts the present one is inside of: `sh -c '…'`.
    depth: usize,
    /// Whether the shell's folder may have changed.
    moved: bool,
}

impl Reader {
    fn text(&mut self, text: &str) {
        // Shells and parsers do not agree on whether these part words.
        self.script.unclear |= text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t'));
        if self.depth >= MAX_TEXTS || text.len() > MAX_BYTES || openers(text) > MAX_OPENERS || parts(text) > MAX_PARTS {
            return self.rough(text);
        }
        match rable::parse(text, false) {
            Ok(nodes) => {
                self.depth += 1;
                self.nodes(&nodes);
                self.depth -= 1;
            }
            Err(_) => self.rough(text),
        }
    }

    fn nodes(&mut self, nodes: &[Node]) {
        nodes.iter().for_each(|node| self.node(node));
    }

    /// One command of the grammar. `rable` may learn others: what is not named is unclear.
    fn node(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::Command { assignments, words, redirects } => {
                self.nodes(redirects);
                let assigned = self.words(assignments);
                let words = self.words(words);
                self.simple(assigned, words);
            }
            NodeKind::Pipeline { commands, .. } => self.nodes(commands),
            NodeKind::List { items } => items.iter().for_each(|item| self.node(&item.command)),
            NodeKind::Negation { pipeline } | NodeKind::Time { pipeline, .. } => self.node(pipeline),
            NodeKind::Coproc { command, .. } => self.node(command),
            NodeKind::Subshell { body, redirects } | NodeKind::BraceGroup { body, redirects } => {
                self.nodes(redirects);
                self.node(body);
            }
            NodeKind::Redirect { op, target, .. } => self.redirect(op, target),
            NodeKind::HereDoc { content, quoted, .. } => {
                if !quoted {
                    self.raw(content);
                }
            }
            NodeKind::Empty | NodeKind::Comment { .. } => {}
            _ => self.compound(node),
        }
    }

    fn compound(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::If { condition, then_body, else_body, redirects } => {
                self.nodes(redirects);
                self.node(condition);
                self.node(then_body);
                else_body.iter().for_each(|body| self.node(body));
            }
            NodeKind::While { condition, body, redirects } | NodeKind::Until { condition, body, redirects } => {
                self.nodes(redirects);
                self.node(condition);
                self.node(body);
            }
            NodeKind::For { var, words, body, redirects } | NodeKind::Select { var, words, body, redirects } => {
                // The variables that programs and the shell itself heed are in capitals.
                self.script.unclear |= !var.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit());
                self.words(words.as_deref().unwrap_or_default());
                self.nodes(redirects);
                self.node(body);
            }
            NodeKind::ForArith { init, cond, incr, body, redirects } => {
                [init, cond, incr].into_iter().for_each(|text| self.raw(text));
                self.nodes(redirects);
                self.node(body);
            }
            NodeKind::Case { word, patterns, redirects } => {
                self.nodes(redirects);
                self.word(word);
                for case in patterns {
                    self.words(&case.patterns);
                    case.body.iter().for_each(|body| self.node(body));
                }
            }
            // `((rm x))` is arithmetic to bash, and two subshells to a plain `sh`.
            NodeKind::ArithmeticCommand { raw_content, redirects, .. } => {
                self.rough(raw_content);
                self.nodes(redirects);
            }
            NodeKind::ConditionalExpr { body, redirects } => {
                self.condition(body);
                self.nodes(redirects);
            }
            // A function changes what a later word means.
            NodeKind::Function { body, .. } => {
                self.script.unclear = true;
                self.node(body);
            }
            _ => self.script.unclear = true,
        }
    }

    /// What stands in `[[ … ]]`. To a plain `sh`, `[[ a && rm x ]]` are two commands, and `[[ a > b ]]` writes a file.
    fn condition(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::UnaryTest { operand, .. } | NodeKind::CondNot { operand } => self.condition(operand),
            NodeKind::BinaryTest { left, right, op } => {
                self.script.unclear |= op.contains(['<', '>']);
                self.condition(left);
                self.condition(right);
            }
            NodeKind::CondTerm { value, .. } => self.raw(value),
            _ => self.rough(&node.to_string().replace('"', " ")),
        }
    }

    fn redirect(&mut self, op: &str, target: &Node) {
        let Some(path) = self.word(target).known() else {
            self.script.unclear |= op != "<<<";
            return;
        };
        match op {
            "<<<" => {}
            ">&" | "<&" if path.chars().all(|c| c.is_ascii_digit() || c == '-') => {}
            ">" | ">>" | ">|" | "&>" | "&>>" | ">&" | "<>" => {
                if !STREAMS.contains(&path.as_str()) {
                    self.script.writes.push(path.into());
                }
            }
            "<" if path == "/dev/null" => {}
            "<" => self.script.reads.push(path.into()),
            _ => self.script.unclear = true,
        }
    }

    fn words(&mut self, nodes: &[Node]) -> Vec<Word> {
        nodes.iter().map(|node| self.word(node)).collect()
    }

    /// The word, after reading what its substitutions run.
    fn word(&mut self, node: &Node) -> Word {
        let NodeKind::Word { value, parts, .. } = &node.kind else {
            self.script.unclear = true;
            return Word::gap();
        };
        let mut runs = false;
        for part in parts {
            match &part.kind {
                NodeKind::CommandSubstitution { command, .. } | NodeKind::ProcessSubstitution { command, .. } => {
                    runs = true;
                    self.node(command);
                }
                NodeKind::ParamExpansion { param, op, arg } | NodeKind::ParamIndirect { param, op, arg } => {
                    // `${ cmd; }` and `${| cmd; }` run, and `${PATH:=x}` assigns.
                    let odd = param.starts_with(|c: char| c.is_whitespace() || c == '|');
                    self.script.unclear |= odd || op.as_deref().is_some_and(|op| op.contains('='));
                    self.raw(param);
                    self.raw(arg.as_deref().unwrap_or_default());
                }
                NodeKind::WordLiteral { .. } | NodeKind::AnsiCQuote { .. } => {}
                NodeKind::BraceExpansion { content: text } | NodeKind::ParamLength { param: text } => self.raw(text),
                // Arithmetic, localised text, and what `rable` may learn: their inside is looked through as text.
                _ => self.raw(value),
            }
        }
        let word = Word::read(value);
        // In backquotes a backslash is taken off before the inside is read, which `rable` leaves on.
        if (word.runs && !runs) || (value.contains('`') && value.contains('\\') && word.runs) {
            self.script.unclear = true;
            self.rough(value);
        }
        match parts.as_slice() {
            [Node { kind: NodeKind::AnsiCQuote { decoded, .. }, .. }] => Word::literal(decoded),
            _ => word,
        }
    }

    /// A text that is expanded, not run; what it substitutes is not read further.
    fn raw(&mut self, text: &str) {
        // `$'` may spell a substitution that arithmetic then runs: `[[ $'a[\x24(rm x)]' -eq 0 ]]`.
        if ["$(", "`", "<(", ">(", "${ ", "${|", "[$", "$'"].iter().any(|mark| text.contains(mark)) {
            self.rough(text);
        }
    }

    fn simple(&mut self, assigned: Vec<Word>, words: Vec<Word>) {
        if words.is_empty() {
            // An assignment by itself changes what later commands are: it needs a rule as they do.
            if !assigned.is_empty() {
                self.push(assigned, Need::Allow);
            }
            return;
        }
        if !assigned.is_empty() {
            self.push(words.clone(), Need::Seen);
        }
        self.command(assigned, words);
    }

    /// A command, or by and by the commands that it wraps.
    fn command(&mut self, mut assigned: Vec<Word>, mut words: Vec<Word>) {
        for _ in 0..MAX_WRAPPERS {
            let inside = open(&words);
            if inside != Inside::Nothing {
                self.views(&words);
            }
            match inside {
                Inside::Nothing | Inside::Elsewhere => return self.plain(assigned, words),
                Inside::Command { assigned: more, words: inner, outer } => {
                    if outer {
                        self.push([assigned.clone(), words].concat(), Need::Allow);
                    }
                    assigned.extend(more);
                    words = inner;
                }
                Inside::Text { text, outer } => {
                    // `BASH_ENV=x sh -c …` runs more than the text.
                    self.script.unclear |= !assigned.is_empty();
                    if outer {
                        self.push(words, Need::Allow);
                    }
                    return self.text(&text);
                }
                Inside::Several(commands) => {
                    self.plain(assigned, words);
                    commands.into_iter().for_each(|words| self.plain(Vec::new(), words));
                    return;
                }
                Inside::Hidden => {
                    self.push(words, Need::Seen);
                    self.script.unclear = true;
                    return;
                }
            }
        }
        self.push(words, Need::Seen);
        self.script.unclear = true;
    }

    fn plain(&mut self, assigned: Vec<Word>, words: Vec<Word>) {
        let name = words.first().and_then(Word::known);
        self.moved |= name.as_deref().is_some_and(|name| ["cd", "pushd", "popd"].contains(&name));
        self.script.unclear |= name.is_none();
        self.push([assigned, words].concat(), Need::Allow);
    }

    fn push(&mut self, words: Vec<Word>, need: Need) {
        self.script.commands.push(Simple { words, need });
    }

    /// Shows what a wrapper may run beside what it is known to run, so that a denied command is found in any case.
    fn views(&mut self, words: &[Word]) {
        (1..words.len().min(MAX_VIEWS)).for_each(|at| self.push(words[at..].to_vec(), Need::Seen));
        let texts = words.iter().take(MAX_VIEWS).map(Word::shown).filter(|text| text.contains(char::is_whitespace));
        texts.for_each(|text| self.pieces(&text));
    }

    /// Looks for commands in a text that cannot be read, so that a denied one in it is still found. Never allows.
    fn rough(&mut self, text: &str) {
        self.script.unclear = true;
        self.pieces(text);
    }

    fn pieces(&mut self, text: &str) {
        let mut end = text.len().min(MAX_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        for piece in text[..end].split([';', '|', '&', '\n', '(', ')', '`', '{', '}']) {
            let bare: String = piece.chars().filter(|c| !matches!(c, '\'' | '"' | '\\')).collect();
            let words: Vec<Word> = bare.split_whitespace().map(Word::literal).collect();
            (0..words.len().min(MAX_VIEWS)).for_each(|at| self.push(words[at..].to_vec(), Need::Seen));
        }
    }
}

/// At least as many as the constructs that stand in each other: so many that the parser's stack is safe.
fn openers(text: &str) -> usize {
    let signs = text.chars().filter(|c| matches!(c, '(' | '`' | '{')).count();
    let keyword = |word: &&str| KEYWORDS.contains(word);
    signs + text.split(|c: char| !c.is_ascii_alphanumeric() && c != '!').filter(keyword).count()
}

/// At least as many as the commands of a text: `rable` keeps some of its stack for each.
fn parts(text: &str) -> usize {
    text.chars().filter(|c| matches!(c, ';' | '&' | '|' | '\n')).count()
}

const KEYWORDS: &[&str] =
    &["!", "case", "coproc", "elif", "else", "for", "function", "if", "select", "time", "until", "while"];

/// Files that are no files.
const STREAMS: &[&str] = &["/dev/null", "/dev/stdout", "/dev/stderr"];

/// The longest text that is read, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// How many constructs a text may open. Reading grows with their third power.
const MAX_OPENERS: usize = 64;
/// How many commands a text may have.
const MAX_PARTS: usize = 1000;
/// How many texts may stand in each other: `sh -c "sh -c …"`.
const MAX_TEXTS: usize = 4;
/// How many wrappers a command may have: `nohup timeout 5 env …`.
const MAX_WRAPPERS: usize = 8;
/// At how many of a wrapper's words a denied command is looked for.
const MAX_VIEWS: usize = 16;
