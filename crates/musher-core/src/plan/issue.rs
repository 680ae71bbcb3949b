//! Compiles issues into a plan: title and body become the item, phrases its dependencies, labels its kind and role.

use super::graph::{Draft, check_count, link};
use super::manifest::Manifest;
use super::markdown::paragraphs;
use super::parts::{BODY_LIMIT, CUT, ITEM_LIMIT, Plan, PlanItem, TITLE_LIMIT, first_line, one_line};
use super::policy::PolicyPatch;
use super::reference::{Named, references};
use super::slug::slug;
use super::words::{kind_of, role_of};
use crate::config::reader::clipped;
use crate::forge::{Home, Reference};
use crate::item::{Kind, Priority};
use crate::problem::{Problem, Problems, Report};
use crate::quote::{EXPLAINED, quoted, visible};

/// An issue as its forge shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Which. Without a repository it is one of the project's own.
    pub reference: Reference,
    /// Its page.
    pub url: String,
    /// One line.
    pub title: String,
    /// The text, in Markdown.
    pub body: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Whether it is closed.
    pub closed: bool,
    /// Who wrote it.
    pub author: String,
    /// Whether the author may write to the repository, or is on the allow-list.
    pub trusted: bool,
    /// What was said of it, oldest first.
    pub comments: Vec<IssueComment>,
}

/// A comment on an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueComment {
    /// Who wrote it.
    pub author: String,
    /// Whether the author may write to the repository, or is on the allow-list.
    pub trusted: bool,
    /// The text, in Markdown.
    pub text: String,
}

/// What issues were compiled into.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// The plan.
    pub plan: Plan,
    /// What a person should know of it: what was left out and why, one line each.
    pub remarks: Vec<String>,
}

/// Compiles issues, each once, into a plan.
///
/// Labels win over words, the manifest over both. A reference to an issue that is not among these stays as something
/// outside that must be closed first. Only what trusted authors wrote is read at all; it reaches the prompt between
/// lines that hold `nonce`, a word that no author can know. `home` is where the project is.
///
/// # Errors
/// Every problem at once: a cycle, an issue of which nothing may be read, too many issues.
pub fn compile(issues: &[Issue], manifest: &Manifest, home: Home<'_>, nonce: &str) -> Result<Compiled, Problems> {
    let names: Vec<Reference> = issues.iter().map(|issue| issue.reference.clone().seen_from(home.repo)).collect();
    // A line an issue, so that a problem's line tells which issue it is about.
    let lines: String = names.iter().map(|name| format!("{name}\n")).collect();
    let mut report = Report::new("", &lines);
    let mut compiler = Compiler { names: &names, manifest, home, nonce, remarks: Vec::new() };
    let mut at = 0;
    let mut drafts = Vec::with_capacity(issues.len());
    for (issue, name) in issues.iter().zip(&names) {
        drafts.push(compiler.draft(issue, name, at, &mut report));
        at += name.to_string().len() + 1;
    }
    if issues.is_empty() {
        report.add_with_fix(0, "there is no issue to compile", "name at least one, such as `--issue 23`");
    }
    check_count(issues.len(), 0, &mut report);
    let items = if issues.len() > ITEM_LIMIT { Vec::new() } else { link(drafts, &mut report) };
    let remarks = compiler.remarks;
    let plan = Plan { goal: goal(issues, &names), policy: PolicyPatch::default(), items };
    report.finish(Compiled { plan, remarks }).map_err(|problems| placed(problems, &names))
}

/// Problems whose file is the issue that they are about.
fn placed(mut problems: Problems, names: &[Reference]) -> Problems {
    for Problem { file, line, column, .. } in &mut problems.shown {
        *file = line.checked_sub(1).and_then(|at| names.get(at)).map(ToString::to_string);
        (*line, *column) = (0, 0);
    }
    problems
}

/// The id of the item that an issue becomes: `issue-12`, or `owner-name-12` for one of another repository.
fn id_of(name: &Reference) -> String {
    match &name.repo {
        None => format!("issue-{}", name.number),
        Some(repo) => {
            let number = name.number.to_string();
            let repo = slug(repo);
            let most = super::ID_LIMIT - number.len() - 1;
            format!("{}-{number}", repo.get(..most).unwrap_or(&repo).trim_end_matches('-'))
        }
    }
}

fn goal(issues: &[Issue], names: &[Reference]) -> String {
    match issues {
        [only] => {
            let name = names.first().map(ToString::to_string).unwrap_or_default();
            let title = if only.trusted { first_line(&visible(&only.title), CUT) } else { String::new() };
            if title.is_empty() { format!("Issue {name}") } else { format!("{title} ({name})") }
        }
        _ => {
            const SHOWN: usize = 8;
            let more = names.len().saturating_sub(SHOWN);
            let shown: Vec<String> = names.iter().take(SHOWN).map(ToString::to_string).collect();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("Issues {}{more}", shown.join(", "))
        }
    }
}

struct Compiler<'a> {
    names: &'a [Reference],
    manifest: &'a Manifest,
    home: Home<'a>,
    nonce: &'a str,
    remarks: Vec<String>,
}

impl Compiler<'_> {
    fn draft(&mut self, issue: &Issue, name: &Reference, at: usize, report: &mut Report) -> Draft {
        let stated = self.stated(issue, name);
        let title = self.title(issue, name);
        // A stranger's words say nothing, not even what sort of work it is.
        let words = if issue.trusted { &*issue.title } else { "" };
        let kind = stated.kind.unwrap_or_else(|| kind_of(words));
        let body = self.body(issue, name, at, report);
        let mut item = PlanItem {
            id: id_of(name),
            title,
            body,
            kind,
            role: stated.role.or_else(|| role_of(words, kind).map(str::to_owned)),
            priority: stated.priority.unwrap_or_default(),
            issue: Some(name.clone()),
            skip: issue.closed,
            ..PlanItem::default()
        };
        let said = self.manifest.get(name);
        let wanted = match said.and_then(|changed| changed.depends_on.as_ref()) {
            Some(stated) => stated.iter().map(|other| other.clone().seen_from(self.home.repo)).collect(),
            None => self.depends_on(issue, name),
        };
        if let Some(changed) = said {
            item.kind = changed.kind.unwrap_or(item.kind);
            item.role = changed.role.clone().or(item.role);
            item.priority = changed.priority.unwrap_or(item.priority);
            item.touches = changed.touches.clone().unwrap_or_default();
            item.skip = changed.skip.unwrap_or(item.skip);
        }
        if issue.closed && item.skip {
            self.remarks.push(format!("{name} is closed already: it counts as done"));
        }
        let mut depends_on = Vec::new();
        for other in wanted {
            if other.is(name) {
                self.remarks.push(format!("{name} says that it depends on itself; that is not counted"));
            } else if self.names.iter().any(|known| known.is(&other)) {
                depends_on.push((at, id_of(&other)));
            } else if !item.external.iter().any(|known| known.is(&other)) {
                item.external.push(other);
            }
        }
        Draft { item, at, id_at: at, body_at: at, depends_on }
    }

    fn title(&mut self, issue: &Issue, name: &Reference) -> String {
        let title = if issue.trusted { one_line(&visible(&issue.title)) } else { String::new() };
        if title.is_empty() {
            return format!("Issue {name}");
        }
        let cut = first_line(&title, TITLE_LIMIT);
        if cut != title {
            let length = title.chars().count();
            self.remarks
                .push(format!("the title of {name} has {length} characters: it is cut, and whole in the prompt"));
        }
        cut
    }

    /// The prompt: where it comes from, and what trusted authors wrote, each text between lines of its own.
    fn body(&mut self, issue: &Issue, name: &Reference, at: usize, report: &mut Report) -> String {
        let mut texts = Vec::new();
        if issue.trusted {
            let (title, body) = (one_line(&visible(&issue.title)), visible(&issue.body));
            // A title that fits is the item's own, and stands above this.
            let whole = if title.chars().count() > TITLE_LIMIT { format!("{title}\n\n{body}") } else { body };
            if !whole.trim().is_empty() {
                texts.push(quoted(&format!("issue {name} by {}", author(&issue.author)), whole.trim(), self.nonce));
            }
        } else {
            self.leave_out(&format!("title and text of {name}"), &issue.author);
        }
        let mut size: usize = texts.iter().map(String::len).sum();
        let mut too_long = 0;
        for comment in &issue.comments {
            if !comment.trusted {
                self.leave_out(&format!("a comment on {name}"), &comment.author);
                continue;
            }
            let text = visible(&comment.text);
            let what = format!("comment on {name} by {}", author(&comment.author));
            let text = quoted(&what, text.trim(), self.nonce);
            if size + text.len() > BODY_LIMIT - RESERVED {
                too_long += 1;
                continue;
            }
            size += text.len();
            texts.push(text);
        }
        if too_long > 0 {
            self.remarks.push(format!("{too_long} comment(s) on {name} are left out: they make the prompt too long"));
        }
        let nothing = texts.is_empty() && !issue.trusted;
        if nothing && self.manifest.get(name).is_none_or(|changed| changed.skip != Some(true)) && !issue.closed {
            let who = author(&issue.author);
            let what = format!("nothing in {name} was written by someone whom musher trusts; its author is {who}");
            let fix = format!(
                "read it; then say in a comment there what is to be done, or trust the author: `--trust {who}`, or \
                 `trust = [\"{who}\"]` in `[forge]`"
            );
            report.add_with_fix(at, what, fix);
        }
        let url = one_line(&visible(&issue.url));
        let from = if url.is_empty() { format!("Issue {name}") } else { format!("Issue {name}: {url}") };
        if texts.is_empty() {
            return from;
        }
        format!("{from}\n\n{EXPLAINED}\n\n{}", texts.join("\n\n"))
    }

    fn leave_out(&mut self, what: &str, who: &str) {
        let who = author(who);
        self.remarks.push(format!(
            "left out: {what}, for {who} may not write to the repository and is not on the list of `[forge] trust`"
        ));
    }

    /// What the issue's phrases name, each once. What stands at another forge is said to be left out.
    fn depends_on(&mut self, issue: &Issue, name: &Reference) -> Vec<Reference> {
        if !issue.trusted {
            return Vec::new();
        }
        let own = |other: Reference| Reference { repo: other.repo.or_else(|| name.repo.clone()), ..other };
        let mut found: Vec<Reference> = Vec::new();
        for text in [&issue.title, &issue.body] {
            for flat in paragraphs(text) {
                for named in references(&flat, self.home.site) {
                    let other = match named {
                        Named::Issue(other) => own(other).seen_from(self.home.repo),
                        Named::Elsewhere(address) => {
                            self.elsewhere(&address, name);
                            continue;
                        }
                    };
                    if !found.iter().any(|known| known.is(&other)) {
                        found.push(other);
                    }
                }
            }
        }
        found
    }

    fn elsewhere(&mut self, address: &str, name: &Reference) {
        let (address, site) = (clipped(&visible(address)), self.home.site);
        let remark = format!(
            "left out: {name} says that it depends on `{address}`, which is no issue of {site}; nothing waits for it"
        );
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    fn stated(&mut self, issue: &Issue, name: &Reference) -> Stated {
        let mut stated = Stated::default();
        for label in &issue.labels {
            let label = label.trim().to_ascii_lowercase();
            let Some((key, value)) = label.split_once(':') else { continue };
            let value = value.trim();
            let known = match key.trim() {
                "kind" => {
                    stated.kind = Kind::ALL.into_iter().find(|kind| kind.name() == value).or(stated.kind);
                    Kind::ALL.iter().any(|kind| kind.name() == value)
                }
                "priority" => {
                    stated.priority = Priority::ALL.into_iter().find(|p| p.name() == value).or(stated.priority);
                    Priority::ALL.iter().any(|p| p.name() == value)
                }
                "role" if !value.is_empty() => {
                    stated.role = Some(value.to_owned());
                    true
                }
                "role" => false,
                _ => continue,
            };
            if !known {
                self.remarks.push(format!("the label `{}` of {name} says nothing that musher knows", clipped(&label)));
            }
        }
        stated
    }
}

/// What labels state.
#[derive(Default)]
struct Stated {
    kind: Option<Kind>,
    role: Option<String>,
    priority: Option<Priority>,
}

/// A forge's name of a person, as far as such names go: nothing else can hide in it.
fn author(name: &str) -> String {
    let kept: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '[' | ']'))
        .take(80)
        .collect();
    if kept.is_empty() { "nobody that is known".to_owned() } else { kept }
}

/// What a prompt's body may need beside the texts, in bytes.
const RESERVED: usize = 4 << 10;
