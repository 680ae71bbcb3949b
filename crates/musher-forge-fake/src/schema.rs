//! Schemas of OpenAPI 3.0: whether a value is of one, and how to fill in what one demands.
//!
//! A keyword that is not known is an error, so that nothing passes because it was not looked at.

use serde_json::{Map, Value, json};

/// A description's `components`, which schemas refer to.
#[derive(Clone, Copy)]
pub(crate) struct Schemas<'a> {
    root: &'a Value,
}

impl<'a> Schemas<'a> {
    pub(crate) const fn new(root: &'a Value) -> Self {
        Self { root }
    }

    /// The thing itself, whatever number of references leads to it.
    pub(crate) fn resolve(self, mut node: &'a Value) -> &'a Value {
        for _ in 0..32 {
            let Some(reference) = node.get("$ref").and_then(Value::as_str) else { return node };
            let Some(found) = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) else {
                return &Value::Null;
            };
            node = found;
        }
        &Value::Null
    }

    /// Everything that is wrong with a value, each with its place.
    pub(crate) fn check(self, schema: &'a Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
        let schema = self.resolve(schema);
        let Some(keywords) = schema.as_object() else {
            if schema != &Value::Bool(true) {
                wrong.push(format!("{at}: its schema is none"));
            }
            return;
        };
        if value.is_null() && (keywords.get("nullable") == Some(&Value::Bool(true)) || holds_null(keywords)) {
            return;
        }
        for (keyword, rule) in keywords {
            self.check_keyword(keyword, rule, keywords, value, at, wrong);
        }
    }

    fn check_keyword(
        self,
        keyword: &str,
        rule: &'a Value,
        all: &'a Map<String, Value>,
        value: &Value,
        at: &str,
        wrong: &mut Vec<String>,
    ) {
        let length = |value: &Value| value.as_str().map(|text| text.chars().count() as u64);
        match keyword {
            "type" => {
                if !is_of(value, rule.as_str().unwrap_or_default()) {
                    wrong.push(format!("{at}: {} is no {rule}", brief(value)));
                }
            }
            "enum" => {
                if !rule.as_array().is_some_and(|known| known.contains(value)) {
                    wrong.push(format!("{at}: {} is none of {rule}", brief(value)));
                }
            }
            "required" => {
                let Some(object) = value.as_object() else { return };
                for key in rule.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    if !object.contains_key(key) {
                        wrong.push(format!("{at}: `{key}` is missing"));
                    }
                }
            }
            "properties" => {
                let Some(object) = value.as_object() else { return };
                for (key, schema) in rule.as_object().into_iter().flatten() {
                    if let Some(value) = object.get(key) {
                        self.check(schema, value, &format!("{at}.{key}"), wrong);
                    }
                }
            }
            "additionalProperties" => self.check_others(rule, all, value, at, wrong),
            "items" => {
                for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                    self.check(rule, value, &format!("{at}[{index}]"), wrong);
                }
            }
            "allOf" => {
                for schema in rule.as_array().into_iter().flatten() {
                    self.check(schema, value, at, wrong);
                }
            }
            // Many of GitHub's alternatives overlap; with `oneOf` taken at its word its own examples fail.
            "oneOf" | "anyOf" => {
                let branches: Vec<&Value> = rule.as_array().into_iter().flatten().collect();
                if !branches.iter().any(|schema| self.accepts(schema, value)) {
                    wrong.push(format!("{at}: {} is none of {} alternatives", brief(value), branches.len()));
                }
            }
            "minLength" | "maxLength" => check_bound(keyword, rule, length(value), at, wrong),
            "minItems" | "maxItems" => {
                check_bound(keyword, rule, value.as_array().map(|list| list.len() as u64), at, wrong);
            }
            "maxProperties" => {
                check_bound(keyword, rule, value.as_object().map(|object| object.len() as u64), at, wrong);
            }
            "minimum" | "maximum" => {
                if let (Some(value), Some(rule)) = (value.as_f64(), rule.as_f64())
                    && if keyword == "minimum" { value < rule } else { value > rule }
                {
                    wrong.push(format!("{at}: {value} is beyond the {keyword} {rule}"));
                }
            }
            // Hints and prose. Patterns describe names that this fake makes up itself.
            "nullable" | "format" | "description" | "example" | "examples" | "title" | "default" | "readOnly"
            | "deprecated" | "pattern" | "uniqueItems" | "discriminator" => {}
            other if other.starts_with("x-") => {}
            other => wrong.push(format!("{at}: the schema's keyword `{other}` is not known here")),
        }
    }

    fn check_others(
        self,
        rule: &'a Value,
        all: &'a Map<String, Value>,
        value: &Value,
        at: &str,
        wrong: &mut Vec<String>,
    ) {
        let Some(object) = value.as_object() else { return };
        let known = all.get("properties").and_then(Value::as_object);
        let others = object.iter().filter(|(key, _)| !known.is_some_and(|known| known.contains_key(*key)));
        for (key, value) in others {
            match rule {
                Value::Bool(true) => {}
                Value::Bool(false) => wrong.push(format!("{at}: `{key}` has no place here")),
                schema => self.check(schema, value, &format!("{at}.{key}"), wrong),
            }
        }
    }

    fn accepts(self, schema: &'a Value, value: &Value) -> bool {
        let mut wrong = Vec::new();
        self.check(schema, value, "", &mut wrong);
        wrong.is_empty()
    }

    /// The names of all properties that a schema of an object names.
    pub(crate) fn properties(self, schema: &'a Value, names: &mut Vec<&'a str>) {
        let schema = self.resolve(schema);
        names
            .extend(schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(k, _)| k.as_str()));
        for key in ["allOf", "oneOf", "anyOf"] {
            for branch in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
                self.properties(branch, names);
            }
        }
    }

    /// `value` with everything that the schema demands beyond it, as plain as it may be.
    pub(crate) fn fill(self, schema: &'a Value, value: Option<Value>) -> Value {
        let schema = self.resolve(schema);
        let Some(keywords) = schema.as_object() else { return value.unwrap_or(Value::Null) };
        let nullable = keywords.get("nullable") == Some(&Value::Bool(true)) || holds_null(keywords);
        match &value {
            None if nullable => return Value::Null,
            Some(Value::Null) if nullable => return Value::Null,
            _ => {}
        }
        for key in ["oneOf", "anyOf"] {
            let Some(branches) = keywords.get(key).and_then(Value::as_array) else { continue };
            let filled = branches.iter().map(|schema| (schema, self.fill(schema, value.clone())));
            let fits = |(schema, filled): &(&'a Value, Value)| self.accepts(schema, filled);
            // A value that fits none is left to the check, which names it.
            let found = filled.into_iter().find(fits).map(|(_, filled)| filled);
            let Some(found) = found else { return value.unwrap_or(Value::Null) };
            if keywords.contains_key("properties") {
                return self.fill_plain(keywords, Some(found));
            }
            return found;
        }
        let mut value = value;
        for schema in keywords.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            value = Some(self.fill(schema, value));
        }
        self.fill_plain(keywords, value)
    }

    fn fill_plain(self, keywords: &'a Map<String, Value>, value: Option<Value>) -> Value {
        let kind = keywords.get("type").and_then(Value::as_str);
        match (kind, value) {
            (Some("array"), Some(Value::Array(list))) => {
                let Some(items) = keywords.get("items") else { return Value::Array(list) };
                list.into_iter().map(|value| self.fill(items, Some(value))).collect()
            }
            (Some("object") | None, Some(Value::Object(object))) => self.fill_object(keywords, object),
            (Some("object"), None) => self.fill_object(keywords, Map::new()),
            (None, None) if keywords.contains_key("properties") => self.fill_object(keywords, Map::new()),
            (_, Some(value)) => value,
            (kind, None) => plain(keywords, kind.unwrap_or("string")),
        }
    }

    fn fill_object(self, keywords: &'a Map<String, Value>, mut object: Map<String, Value>) -> Value {
        let properties = keywords.get("properties").and_then(Value::as_object);
        let required: Vec<&str> = keywords
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (key, schema) in properties.into_iter().flatten() {
            let given = object.remove(key);
            if given.is_some() || required.contains(&key.as_str()) {
                object.insert(key.clone(), self.fill(schema, given));
            }
        }
        Value::Object(object)
    }
}

/// The plainest value of a type.
fn plain(keywords: &Map<String, Value>, kind: &str) -> Value {
    if let Some(first) = keywords.get("enum").and_then(Value::as_array).and_then(|known| known.first()) {
        return first.clone();
    }
    match kind {
        "integer" | "number" => keywords.get("minimum").cloned().unwrap_or_else(|| json!(0)),
        "boolean" => json!(false),
        "array" => json!([]),
        _ => match keywords.get("format").and_then(Value::as_str) {
            Some("date-time") => json!(MOMENT),
            Some("uri") => json!("https://github.invalid/"),
            Some("email") => json!("nobody@github.invalid"),
            _ => json!(""),
        },
    }
}

fn holds_null(keywords: &Map<String, Value>) -> bool {
    keywords.get("enum").and_then(Value::as_array).is_some_and(|known| known.contains(&Value::Null))
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => false,
    }
}

fn check_bound(keyword: &str, rule: &Value, measure: Option<u64>, at: &str, wrong: &mut Vec<String>) {
    let (Some(measure), Some(rule)) = (measure, rule.as_u64()) else { return };
    if if keyword.starts_with("min") { measure < rule } else { measure > rule } {
        wrong.push(format!("{at}: {measure} is beyond {keyword} {rule}"));
    }
}

/// A value in a line.
pub(crate) fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The moment of everything that needs one.
pub(crate) const MOMENT: &str = "2026-01-01T00:00:00Z";

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(schema: Value, value: Value) -> Vec<String> {
        let root = json!({ "components": { "schemas": { "name": { "type": "string", "minLength": 1 } } } });
        let mut wrong = Vec::new();
        Schemas::new(&root).check(&schema, &value, "it", &mut wrong);
        wrong
    }

    #[test]
    fn a_value_is_of_its_schema_or_every_difference_is_named() {
        let person = json!({ "type": "object", "required": ["name", "age"], "additionalProperties": false, "properties": {
            "name": { "$ref": "#/components/schemas/name" }, "age": { "type": "integer", "minimum": 0 },
            "mood": { "type": "string", "nullable": true, "enum": ["good", "bad"] } } });
        assert_eq!(wrong(person.clone(), json!({ "name": "a", "age": 1, "mood": null })), Vec::<String>::new());
        assert_eq!(
            wrong(person, json!({ "name": "", "age": -1.5, "mood": "odd", "extra": 1 })),
            [
                "it: `extra` has no place here",
                "it.age: -1.5 is beyond the minimum 0",
                "it.age: -1.5 is no \"integer\"",
                "it.mood: \"odd\" is none of [\"good\",\"bad\"]",
                "it.name: 0 is beyond minLength 1",
            ]
        );
        assert_eq!(wrong(json!({ "anyOf": [{ "type": "string" }, { "type": "array" }] }), json!(1)).len(), 1);
        assert_eq!(wrong(json!({ "$ref": "#/nowhere" }), json!(1)).len(), 1);
        assert_eq!(
            wrong(json!({ "newKeyword": 1 }), json!(1)),
            ["it: the schema's keyword `newKeyword` is not known here"]
        );
    }

    #[test]
    fn what_is_filled_in_is_of_the_schema() {
        let root = json!({});
        let schema = json!({ "type": "object", "required": ["a", "b", "c", "list"], "properties": {
            "a": { "type": "string", "format": "uri" }, "b": { "type": "string", "nullable": true },
            "c": { "anyOf": [{ "type": "object", "required": ["x"], "properties": { "x": { "enum": ["one"], "type": "string" } } }] },
            "list": { "type": "array", "items": { "type": "object", "required": ["id", "n"], "properties": {
                "id": { "type": "integer" }, "n": { "type": "boolean" } } } },
            "optional": { "type": "string" } } });
        let filled = Schemas::new(&root).fill(&schema, Some(json!({ "list": [{ "id": 7 }] })));
        let expected = json!({ "a": "https://github.invalid/", "b": null, "c": { "x": "one" },
            "list": [{ "id": 7, "n": false }] });
        assert_eq!(filled, expected);
        assert_eq!(wrong(schema, filled), Vec::<String>::new());
    }
}
