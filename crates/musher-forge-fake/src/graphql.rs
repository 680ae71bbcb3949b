//! GitHub's GraphQL schema: whether a query is of it, and what of an answer a query asks for.
//!
//! As much of the language as musher writes: one operation, variables, arguments, aliases, inline fragments.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The schema, by the names of its types.
pub(crate) struct Graph {
    types: BTreeMap<String, Type>,
    query: String,
    mutation: String,
}

struct Type {
    kind: String,
    fields: BTreeMap<String, Field>,
    inputs: BTreeMap<String, Input>,
    words: Vec<String>,
    possible: Vec<String>,
}

struct Field {
    kind: String,
    arguments: BTreeMap<String, Input>,
}

struct Input {
    /// As it is written: `[ID!]!`.
    kind: String,
    has_default: bool,
}

/// A query that was read.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) mutation: bool,
    variables: BTreeMap<String, String>,
    pub(crate) fields: Vec<Selection>,
}

#[derive(Debug)]
pub(crate) enum Selection {
    Field { alias: String, name: String, arguments: BTreeMap<String, Given>, fields: Vec<Selection> },
    On { kind: String, fields: Vec<Selection> },
}

#[derive(Debug)]
pub(crate) enum Given {
    Variable(String),
    Literal(Value),
    /// Of literals and variables.
    Object(BTreeMap<String, Given>),
}

impl Given {
    /// What is meant, with the variables put in.
    pub(crate) fn value(&self, variables: &Value) -> Value {
        match self {
            Self::Variable(name) => variables.get(name).cloned().unwrap_or(Value::Null),
            Self::Literal(value) => value.clone(),
            Self::Object(members) => members.iter().map(|(key, given)| (key.clone(), given.value(variables))).collect(),
        }
    }
}

impl Graph {
    pub(crate) fn new(introspection: &Value) -> Result<Self, String> {
        let schema = introspection.get("__schema").ok_or("the GraphQL schema has no `__schema`")?;
        let mut types = BTreeMap::new();
        for node in list(schema, "types") {
            let field = |field: &Value| {
                let field_of = Field { kind: written(&field["type"]), arguments: inputs(field, "args") };
                (text(field, "name"), field_of)
            };
            let kind = Type {
                kind: text(node, "kind"),
                fields: list(node, "fields").map(field).collect(),
                inputs: inputs(node, "inputFields"),
                words: list(node, "enumValues").map(|value| text(value, "name")).collect(),
                possible: list(node, "possibleTypes").map(|kind| text(kind, "name")).collect(),
            };
            types.insert(text(node, "name"), kind);
        }
        let root = |key: &str| text(&schema[key], "name");
        Ok(Self { query: root("queryType"), mutation: root("mutationType"), types })
    }

    /// Everything about a query that is outside of the schema.
    pub(crate) fn check(&self, query: &Query, variables: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        let root = if query.mutation { &self.mutation } else { &self.query };
        self.check_fields(root, &query.fields, query, &mut wrong);
        for (name, kind) in &query.variables {
            self.check_value(kind, variables.get(name).unwrap_or(&Value::Null), &format!("${name}"), &mut wrong);
        }
        for name in variables.as_object().into_iter().flatten().map(|(name, _)| name) {
            if !query.variables.contains_key(name) {
                wrong.push(format!("${name} is given and not declared"));
            }
        }
        wrong
    }

    fn check_fields(&self, kind: &str, fields: &[Selection], query: &Query, wrong: &mut Vec<String>) {
        let Some(known) = self.types.get(kind) else { return wrong.push(format!("there is no type `{kind}`")) };
        for selection in fields {
            match selection {
                Selection::On { kind: narrower, fields } => {
                    if !known.possible.contains(narrower) && narrower != kind {
                        wrong.push(format!("`{kind}` is never a `{narrower}`"));
                    }
                    self.check_fields(narrower, fields, query, wrong);
                }
                Selection::Field { name, .. } if name == "__typename" => {}
                Selection::Field { name, arguments, fields, .. } => {
                    let Some(field) = known.fields.get(name) else {
                        wrong.push(format!("`{kind}` has no field `{name}`"));
                        continue;
                    };
                    self.check_arguments(&format!("{kind}.{name}"), field, arguments, query, wrong);
                    let of = bare(&field.kind);
                    let composite = self.types.get(of).is_some_and(|t| !t.fields.is_empty() || !t.possible.is_empty());
                    match (composite, fields.is_empty()) {
                        (true, true) => wrong.push(format!("`{kind}.{name}` needs a selection")),
                        (false, false) => wrong.push(format!("`{kind}.{name}` has nothing to select")),
                        (true, false) => self.check_fields(of, fields, query, wrong),
                        (false, true) => {}
                    }
                }
            }
        }
    }

    fn check_arguments(
        &self,
        at: &str,
        field: &Field,
        given: &BTreeMap<String, Given>,
        query: &Query,
        wrong: &mut Vec<String>,
    ) {
        for (name, given) in given {
            match field.arguments.get(name) {
                None => wrong.push(format!("`{at}` has no argument `{name}`")),
                Some(input) => self.check_given(&input.kind, given, &format!("{at}({name})"), query, wrong),
            }
        }
        for (name, input) in &field.arguments {
            if input.kind.ends_with('!') && !input.has_default && !given.contains_key(name) {
                wrong.push(format!("`{at}` needs the argument `{name}`"));
            }
        }
    }

    fn check_given(&self, kind: &str, given: &Given, at: &str, query: &Query, wrong: &mut Vec<String>) {
        match given {
            Given::Literal(value) => self.check_value(kind, value, at, wrong),
            Given::Variable(name) => match query.variables.get(name) {
                None => wrong.push(format!("{at}: ${name} is not declared")),
                Some(declared) if declared == kind || declared.strip_suffix('!') == Some(kind) => {}
                Some(declared) => wrong.push(format!("{at}: ${name} is `{declared}`, and it wants `{kind}`")),
            },
            Given::Object(members) => {
                let Some(known) = self.types.get(bare(kind)) else { return };
                for (key, given) in members {
                    match known.inputs.get(key) {
                        None => wrong.push(format!("{at}: `{}` has no `{key}`", bare(kind))),
                        Some(input) => self.check_given(&input.kind, given, &format!("{at}.{key}"), query, wrong),
                    }
                }
                for (key, input) in &known.inputs {
                    if input.kind.ends_with('!') && !input.has_default && !members.contains_key(key) {
                        wrong.push(format!("{at}: `{key}` is missing"));
                    }
                }
            }
        }
    }

    fn check_value(&self, kind: &str, value: &Value, at: &str, wrong: &mut Vec<String>) {
        if let Some(inner) = kind.strip_suffix('!') {
            if value.is_null() {
                return wrong.push(format!("{at}: null is no `{kind}`"));
            }
            return self.check_value(inner, value, at, wrong);
        }
        if value.is_null() {
            return;
        }
        if let Some(inner) = kind.strip_prefix('[').and_then(|k| k.strip_suffix(']')) {
            let Some(values) = value.as_array() else { return wrong.push(format!("{at}: {value} is no list")) };
            return values.iter().for_each(|value| self.check_value(inner, value, at, wrong));
        }
        let good = match kind {
            "Int" => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            "Float" => value.is_number(),
            "Boolean" => value.is_boolean(),
            "ID" | "String" => value.is_string(),
            _ => match self.types.get(kind) {
                None => false,
                Some(of) if of.kind == "ENUM" => value.as_str().is_some_and(|word| of.words.iter().any(|w| w == word)),
                Some(of) if of.kind == "INPUT_OBJECT" => return self.check_object(kind, of, value, at, wrong),
                // The schema's own scalars are texts: moments, addresses, commits.
                Some(_) => value.is_string(),
            },
        };
        if !good {
            wrong.push(format!("{at}: {value} is no `{kind}`"));
        }
    }

    fn check_object(&self, kind: &str, of: &Type, value: &Value, at: &str, wrong: &mut Vec<String>) {
        let Some(members) = value.as_object() else { return wrong.push(format!("{at}: {value} is no `{kind}`")) };
        for (key, value) in members {
            match of.inputs.get(key) {
                None => wrong.push(format!("{at}: `{kind}` has no `{key}`")),
                Some(input) => self.check_value(&input.kind, value, &format!("{at}.{key}"), wrong),
            }
        }
        for (key, input) in &of.inputs {
            if input.kind.ends_with('!') && !input.has_default && !members.contains_key(key) {
                wrong.push(format!("{at}: `{key}` is missing"));
            }
        }
    }

    /// What the query asks for of `answer`, which holds all that there is. What the schema promises and is not there is
    /// an error: the fake would not be honest.
    pub(crate) fn project(&self, query: &Query, answer: &Value, wrong: &mut Vec<String>) -> Value {
        let root = if query.mutation { &self.mutation } else { &self.query };
        self.project_fields(root, &query.fields, answer, wrong)
    }

    fn project_fields(&self, kind: &str, fields: &[Selection], from: &Value, wrong: &mut Vec<String>) -> Value {
        let mut out = Map::new();
        let real = from.get("__typename").and_then(Value::as_str).unwrap_or(kind);
        for selection in fields {
            match selection {
                Selection::On { kind: narrower, fields } => {
                    if narrower == real
                        && let Value::Object(more) = self.project_fields(narrower, fields, from, wrong)
                    {
                        out.extend(more);
                    }
                }
                Selection::Field { alias, name, .. } if name == "__typename" => {
                    out.insert(alias.clone(), Value::from(real));
                }
                Selection::Field { alias, name, fields, .. } => {
                    let declared =
                        self.types.get(real).and_then(|t| t.fields.get(name)).map_or("", |f| f.kind.as_str());
                    let found = from.get(name).unwrap_or(&Value::Null);
                    if found.is_null() && declared.ends_with('!') {
                        wrong.push(format!("the fake has no `{real}.{name}`, which is never null"));
                    }
                    out.insert(alias.clone(), self.project_value(bare(declared), fields, found, wrong));
                }
            }
        }
        Value::Object(out)
    }

    fn project_value(&self, kind: &str, fields: &[Selection], value: &Value, wrong: &mut Vec<String>) -> Value {
        match value {
            Value::Array(values) => values.iter().map(|v| self.project_value(kind, fields, v, wrong)).collect(),
            Value::Object(_) if !fields.is_empty() => self.project_fields(kind, fields, value, wrong),
            other => other.clone(),
        }
    }
}

fn list<'a>(node: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    node.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text(node: &Value, key: &str) -> String {
    node.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn inputs(node: &Value, key: &str) -> BTreeMap<String, Input> {
    let input = |input: &Value| {
        (text(input, "name"), Input { kind: written(&input["type"]), has_default: !input["defaultValue"].is_null() })
    };
    list(node, key).map(input).collect()
}

fn written(kind: &Value) -> String {
    match kind["kind"].as_str() {
        Some("NON_NULL") => format!("{}!", written(&kind["ofType"])),
        Some("LIST") => format!("[{}]", written(&kind["ofType"])),
        _ => text(kind, "name"),
    }
}

/// `[PullRequest!]!` is about `PullRequest`.
fn bare(kind: &str) -> &str {
    kind.trim_matches(['[', ']', '!'])
}

/// Reads a query.
pub(crate) fn parse(text: &str) -> Result<Query, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, at: 0 };
    let mutation = match parser.next()?.as_str() {
        "query" => false,
        "mutation" => true,
        other => return Err(format!("it begins with `{other}`")),
    };
    let mut variables = BTreeMap::new();
    if parser.eat("(") {
        while !parser.eat(")") {
            parser.want("$")?;
            let name = parser.next()?;
            parser.want(":")?;
            variables.insert(name, parser.kind()?);
        }
    }
    let fields = parser.fields()?;
    if parser.at != parser.tokens.len() {
        return Err("something follows the operation".to_owned());
    }
    Ok(Query { mutation, variables, fields })
}

struct Parser {
    tokens: Vec<String>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> Result<String, String> {
        let token = self.tokens.get(self.at).cloned().ok_or("it ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn eat(&mut self, token: &str) -> bool {
        let there = self.peek() == token;
        self.at += usize::from(there);
        there
    }

    fn want(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) { Ok(()) } else { Err(format!("`{}` stands where `{token}` should", self.peek())) }
    }

    fn kind(&mut self) -> Result<String, String> {
        let mut kind = if self.eat("[") {
            let inner = self.kind()?;
            self.want("]")?;
            format!("[{inner}]")
        } else {
            self.next()?
        };
        if self.eat("!") {
            kind.push('!');
        }
        Ok(kind)
    }

    fn fields(&mut self) -> Result<Vec<Selection>, String> {
        self.want("{")?;
        let mut fields = Vec::new();
        while !self.eat("}") {
            if self.eat("...") {
                self.want("on")?;
                let kind = self.next()?;
                fields.push(Selection::On { kind, fields: self.fields()? });
                continue;
            }
            let first = self.next()?;
            let (alias, name) = if self.eat(":") { (first, self.next()?) } else { (first.clone(), first) };
            let arguments = if self.eat("(") { self.members(")")? } else { BTreeMap::new() };
            let inner = if self.peek() == "{" { self.fields()? } else { Vec::new() };
            fields.push(Selection::Field { alias, name, arguments, fields: inner });
        }
        if fields.is_empty() { Err("an empty selection".to_owned()) } else { Ok(fields) }
    }

    fn members(&mut self, end: &str) -> Result<BTreeMap<String, Given>, String> {
        let mut members = BTreeMap::new();
        while !self.eat(end) {
            let name = self.next()?;
            self.want(":")?;
            members.insert(name, self.given()?);
        }
        Ok(members)
    }

    fn given(&mut self) -> Result<Given, String> {
        if self.eat("$") {
            return Ok(Given::Variable(self.next()?));
        }
        if self.eat("{") {
            return Ok(Given::Object(self.members("}")?));
        }
        let token = self.next()?;
        // What is no JSON is the word of an enum.
        Ok(Given::Literal(serde_json::from_str(&token).unwrap_or(Value::from(token))))
    }
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("...") {
            3
        } else if "{}()[]:!$=".contains(first) {
            1
        } else if first == '"' {
            let mut escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, c)| {
                let is_end = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                is_end
            });
            end.ok_or("a text does not end")?.0 + 1
        } else {
            let word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            let length = rest.find(|c| !word(c)).unwrap_or(rest.len());
            if length == 0 {
                return Err(format!("`{first}` has no place in a query"));
            }
            length
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    }
    Ok(tokens)
}
