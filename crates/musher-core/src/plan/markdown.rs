//! Reads Markdown documents: each `##` heading is an item, the text below it the body.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::graph::{Draft, check_count, link};
use super::parts::{ITEM_LIMIT, Plan, PlanItem, one_line};
use super::phrase::{Flat, Names, references};
use super::policy::PolicyPatch;
use super::slug::Slugs;
use super::text::check_nul;
use super::toml::check_goal;
use super::words::{kind_of, role_of};
use crate::problem::{Problems, Report, decode};

/// Reads a Markdown document. `file` names it in messages, and gives the goal when there is no `#` title.
///
/// Each `##` heading is an item; its text, up to the next `##` or `#` heading, is the body exactly as written. Phrases
/// such as "depends on #1" or "after Schema" in it make dependencies; code blocks and quoted lines are not read.
///
/// # Errors
/// Every problem of the document at once.
pub fn parse_markdown(file: &str, bytes: &[u8]) -> Result<Plan, Problems> {
    let text = decode(file, bytes)?;
    let mut report = Report::new(file, text);
    check_nul(text, &mut report);
    let outline = Outline::of(text);
    if outline.sections.is_empty() {
        let fix = "begin each item with a `## heading` of its own";
        report.add_with_fix(0, "the document has no `##` heading, and each of them is an item", fix);
    }
    let beyond = outline.sections.get(ITEM_LIMIT).map_or(0, |section| section.at);
    check_count(outline.sections.len(), beyond, &mut report);
    let (goal_at, goal) = outline.goal.clone().unwrap_or_else(|| (0, goal_without_title(file, &outline)));
    check_goal(&goal, goal_at, &mut report);
    let items = if outline.sections.len() > ITEM_LIMIT {
        Vec::new()
    } else {
        link(drafts(text, &outline, &mut report), &mut report)
    };
    report.finish(Plan { goal, policy: PolicyPatch::default(), items })
}

/// Whether a text has headings that would be items.
pub(super) fn has_items(text: &str) -> bool {
    !Outline::of(text).sections.is_empty()
}

fn goal_without_title(file: &str, outline: &Outline) -> String {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).trim();
    if stem.is_empty() || stem == "-" {
        outline.sections.first().map(|section| section.title.clone()).unwrap_or_default()
    } else {
        one_line(stem)
    }
}

fn drafts(text: &str, outline: &Outline, report: &mut Report) -> Vec<Draft> {
    let mut slugs = Slugs::default();
    let ids: Vec<String> = outline.sections.iter().map(|section| slugs.give(&section.title)).collect();
    let titles = outline.sections.iter().map(|section| section.title.as_str());
    let names = Names::new(titles, &ids);
    let mut drafts = Vec::with_capacity(ids.len());
    for (number, (section, id)) in outline.sections.iter().zip(&ids).enumerate() {
        if section.title.is_empty() {
            report.add_with_fix(section.at, "the heading has no text", "say in it what is to be done");
        }
        let mut depends_on = Vec::new();
        for block in &section.blocks {
            for (at, other) in references(block, number, &names, report) {
                depends_on.extend(ids.get(other).map(|id| (at, id.clone())));
            }
        }
        let (body_at, body) = section.body(text);
        let kind = kind_of(&section.title);
        let item = PlanItem {
            id: id.clone(),
            title: section.title.clone(),
            body: body.to_owned(),
            kind,
            role: role_of(&section.title, kind).map(str::to_owned),
            ..PlanItem::default()
        };
        drafts.push(Draft { item, at: section.at, id_at: section.at, body_at, depends_on });
    }
    drafts
}

/// The headings and paragraphs of a text in which phrases are read: no code blocks, no quoted lines, no HTML.
pub(super) fn paragraphs(text: &str) -> Vec<Flat> {
    // As if it stood in a list: none of its headings begins an item.
    let section = Section { title: String::new(), at: 0, body_start: 0, body_end: text.len(), blocks: Vec::new() };
    let mut reader = Reader { end: text.len(), containers: 1, open: true, ..Reader::default() };
    reader.outline.sections.push(section);
    for (event, range) in Parser::new_ext(text, Options::empty()).into_offset_iter() {
        reader.read(event, range);
    }
    reader.finish().sections.into_iter().flat_map(|section| section.blocks).collect()
}

/// The headings of a document and the texts below them.
#[derive(Default)]
struct Outline {
    /// The `#` title and its place.
    goal: Option<(usize, String)>,
    /// One for each `##` heading.
    sections: Vec<Section>,
}

struct Section {
    title: String,
    at: usize,
    body_start: usize,
    body_end: usize,
    /// The heading, and the paragraphs in which phrases are read.
    blocks: Vec<Flat>,
}

impl Section {
    /// The body without the blank lines around it, and its place.
    fn body<'a>(&self, text: &'a str) -> (usize, &'a str) {
        let whole = text.get(self.body_start..self.body_end).unwrap_or_default().trim_end();
        let indented = whole.trim_start();
        // Blank lines go, the indentation of the first line stays: it may be code.
        let blank = &whole[..whole.len() - indented.len()];
        let skipped = blank.rfind('\n').map_or(0, |end| end + 1);
        (self.body_start + skipped, &whole[skipped..])
    }
}

impl Outline {
    fn of(text: &str) -> Self {
        let mut reader = Reader { end: text.len(), ..Reader::default() };
        let options = Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            reader.read(event, range);
        }
        reader.finish()
    }
}

#[derive(Default)]
struct Reader {
    outline: Outline,
    /// Where the text ends.
    end: usize,
    /// Block quotes, lists and their like around the present place: a heading in one of them is no item.
    containers: usize,
    quotes: usize,
    /// Inside of a code block or of front matter.
    unread: usize,
    heading: Option<Heading>,
    flat: Flat,
    /// Where the present link began in `flat`, and where it leads.
    link: Option<(usize, String)>,
    /// Whether the last section still grows.
    open: bool,
}

/// A heading that is being read.
#[derive(Clone, Copy)]
struct Heading {
    level: HeadingLevel,
    at: usize,
    end: usize,
}

impl Reader {
    fn read(&mut self, event: Event, range: std::ops::Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, &range),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.is_read() => self.flat.push(&text, range.start),
            Event::Code(text) if self.is_read() => self.flat.push_code(&text, range.start),
            Event::SoftBreak | Event::HardBreak if self.is_read() => self.flat.push(" ", range.start),
            _ => {}
        }
    }

    const fn is_read(&self) -> bool {
        self.quotes == 0 && self.unread == 0
    }

    fn start(&mut self, tag: Tag, range: &std::ops::Range<usize>) {
        match tag {
            Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough
            | Tag::Superscript
            | Tag::Subscript
            | Tag::Image { .. } => {}
            Tag::Link { dest_url, .. } => self.link = Some((self.flat.len(), dest_url.to_string())),
            Tag::Heading { level, .. } => {
                self.flush();
                if self.containers == 0 && matches!(level, HeadingLevel::H1 | HeadingLevel::H2) {
                    self.close(range.start);
                    self.heading = Some(Heading { level, at: range.start, end: range.end });
                }
            }
            Tag::CodeBlock(_) | Tag::HtmlBlock | Tag::MetadataBlock(_) => {
                self.flush();
                self.unread += 1;
            }
            Tag::BlockQuote(_) => {
                self.flush();
                self.containers += 1;
                self.quotes += 1;
            }
            Tag::List(_) | Tag::Item | Tag::FootnoteDefinition(_) => {
                self.flush();
                self.containers += 1;
            }
            _ => self.flush(),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Emphasis
            | TagEnd::Strong
            | TagEnd::Strikethrough
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::Image => {}
            TagEnd::Link => {
                if let Some((start, target)) = self.link.take() {
                    self.flat.link(start, target);
                }
            }
            TagEnd::Heading(_) => self.end_heading(),
            TagEnd::CodeBlock | TagEnd::HtmlBlock | TagEnd::MetadataBlock(_) => {
                self.unread = self.unread.saturating_sub(1);
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.containers = self.containers.saturating_sub(1);
                self.quotes = self.quotes.saturating_sub(1);
            }
            TagEnd::List(_) | TagEnd::Item | TagEnd::FootnoteDefinition => {
                self.flush();
                self.containers = self.containers.saturating_sub(1);
            }
            _ => self.flush(),
        }
    }

    fn end_heading(&mut self) {
        let Some(heading) = self.heading.take() else { return self.flush() };
        let flat = std::mem::take(&mut self.flat);
        let title = one_line(flat.text());
        if heading.level == HeadingLevel::H2 {
            self.outline.sections.push(Section {
                title,
                at: heading.at,
                body_start: heading.end,
                body_end: self.end,
                blocks: vec![flat],
            });
            self.open = true;
        } else if self.outline.goal.is_none() && !title.is_empty() {
            self.outline.goal = Some((heading.at, title));
        }
    }

    /// Ends the section that is being read.
    fn close(&mut self, at: usize) {
        if let Some(section) = self.outline.sections.last_mut().filter(|_| self.open) {
            section.body_end = at;
        }
        self.open = false;
    }

    /// Ends a paragraph.
    fn flush(&mut self) {
        let flat = std::mem::take(&mut self.flat);
        self.link = None;
        if let Some(section) = self.outline.sections.last_mut().filter(|_| self.open && !flat.is_empty()) {
            section.blocks.push(flat);
        }
    }

    fn finish(mut self) -> Outline {
        self.flush();
        self.outline
    }
}
