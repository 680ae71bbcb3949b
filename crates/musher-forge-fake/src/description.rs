//! GitHub's published descriptions, and whether a request and an answer are within them.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;

use crate::graphql::Graph;
use crate::schema::Schemas;

/// What GitHub says of its own interfaces.
pub struct Description {
    openapi: Value,
    pub(crate) graph: Graph,
}

impl std::fmt::Debug for Description {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Description")
    }
}

/// An operation of the description, with what its path holds.
pub(crate) struct Operation<'a> {
    /// As in the description: `/repos/{owner}/{repo}`.
    pub(crate) template: &'a str,
    node: &'a Value,
}

impl Description {
    /// The descriptions that `scripts/github` installed. Read once a process.
    ///
    /// # Errors
    /// What is missing, and how to get it.
    pub fn load() -> Result<&'static Self, String> {
        static LOADED: OnceLock<Result<Description, String>> = OnceLock::new();
        LOADED.get_or_init(|| Self::read(&folder())).as_ref().map_err(Clone::clone)
    }

    fn read(folder: &std::path::Path) -> Result<Self, String> {
        let read = |package: &str, version: &str, file: &str| -> Result<Value, String> {
            let missing = || {
                format!("missing: {package} {version} in {}; run `scripts/github`, which installs it", folder.display())
            };
            let about = std::fs::read(folder.join(package).join("package.json")).map_err(|_| missing())?;
            let about: Value = serde_json::from_slice(&about).map_err(|_| missing())?;
            if about.get("version").and_then(Value::as_str) != Some(version) {
                return Err(missing());
            }
            let bytes = std::fs::read(folder.join(package).join(file)).map_err(|_| missing())?;
            serde_json::from_slice(&bytes).map_err(|error| format!("{package}/{file}: {error}"))
        };
        let openapi = read(OPENAPI.0, OPENAPI.1, "generated/api.github.com.json")?;
        let graph = Graph::new(&read(GRAPHQL.0, GRAPHQL.1, "schema.json")?)?;
        Ok(Self { openapi, graph })
    }

    pub(crate) const fn schemas(&self) -> Schemas<'_> {
        Schemas::new(&self.openapi)
    }

    /// The operation that a request asks for. Where several fit, the one with the fewest placeholders.
    pub(crate) fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let paths = self.openapi.get("paths")?.as_object()?;
        let fitting = paths.iter().filter(|(template, node)| fits(template, path) && node.get(method).is_some());
        let (template, node) = fitting.min_by_key(|(template, _)| template.matches('{').count())?;
        Some(Operation { template, node: node.get(method)? })
    }

    /// Everything about a request that is outside of the description.
    pub(crate) fn check_request(
        &self,
        operation: &Operation,
        query: &[(String, String)],
        body: Option<&Value>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let schemas = self.schemas();
        let parameters: Vec<&Value> = operation.node["parameters"].as_array().into_iter().flatten().collect();
        let known: Vec<&Value> =
            parameters.into_iter().map(|p| schemas.resolve(p)).filter(|p| p["in"] == "query").collect();
        for (name, value) in query {
            match known.iter().find(|p| p["name"] == name.as_str()) {
                None => wrong.push(format!("the query parameter `{name}` is not in the description")),
                Some(parameter) => {
                    let value = typed(schemas.resolve(&parameter["schema"]), value);
                    schemas.check(&parameter["schema"], &value, &format!("?{name}"), &mut wrong);
                }
            }
        }
        for parameter in known.iter().filter(|p| p["required"] == true) {
            if !query.iter().any(|(name, _)| parameter["name"] == name.as_str()) {
                wrong.push(format!("the query parameter {} is missing", parameter["name"]));
            }
        }
        self.check_body(operation, body, &mut wrong);
        wrong
    }

    fn check_body(&self, operation: &Operation, body: Option<&Value>, wrong: &mut Vec<String>) {
        let described = operation.node.get("requestBody").map(|node| self.schemas().resolve(node));
        let schema = described.and_then(|node| node.pointer("/content/application~1json/schema"));
        match (schema, body) {
            (None, Some(_)) => wrong.push("it has a body, and the description has none".to_owned()),
            (Some(_), None) => {
                if described.is_some_and(|node| node["required"] == true) {
                    wrong.push("its body is missing".to_owned());
                }
            }
            (Some(schema), Some(body)) => {
                self.schemas().check(schema, body, "body", wrong);
                // The description is open for more; musher has no reason to send what it does not name.
                let mut names = Vec::new();
                self.schemas().properties(schema, &mut names);
                for key in body.as_object().into_iter().flatten().map(|(key, _)| key) {
                    if !names.contains(&key.as_str()) {
                        wrong.push(format!("body: `{key}` is not in the description"));
                    }
                }
            }
            (None, None) => {}
        }
    }

    /// The schema of an answer: none when the description has no body for it, an error when it does not know the status.
    pub(crate) fn answer<'a>(&'a self, operation: &Operation<'a>, status: u16) -> Result<Option<&'a Value>, String> {
        let responses = &operation.node["responses"];
        let found = responses
            .get(status.to_string())
            .ok_or_else(|| format!("the description of `{}` knows no answer {status}", operation.template))?;
        Ok(self.schemas().resolve(found).pointer("/content/application~1json/schema"))
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(part), Some(given)) if part == given || (part.starts_with('{') && !given.is_empty()) => {}
            _ => return false,
        }
    }
}

/// A query's text as the type that its schema wants.
fn typed(schema: &Value, text: &str) -> Value {
    match schema.get("type").and_then(Value::as_str) {
        Some("integer" | "number" | "boolean") => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        Some("array") => text.split(',').map(Value::from).collect(),
        _ => Value::from(text),
    }
}

fn folder() -> PathBuf {
    if let Some(named) = std::env::var_os("MUSHER_TEST_GITHUB_DIR") {
        return PathBuf::from(named);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")), PathBuf::from);
    target.join("github/node_modules")
}

/// The package of the OpenAPI description, and its version.
const OPENAPI: (&str, &str) = ("@octokit/openapi", "23.0.2");
/// The package of the GraphQL schema, and its version.
const GRAPHQL: (&str, &str) = ("@octokit/graphql-schema", "15.26.1");
