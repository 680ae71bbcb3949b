//! The reference and the schema of `musher.toml`, made from the table of keys.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::environment::variable_of;
use super::key::{Key, Shape, has_variables, is_section};
use super::keys::ROOT;

/// The reference of `musher.toml` in Markdown: a table of keys for each section.
pub fn reference() -> String {
    let mut text = String::new();
    for section in ROOT.iter().filter(|key| key.is_known()) {
        let path = if matches!(section.shape, Shape::Named(_)) {
            format!("{}.NAME", section.name)
        } else {
            section.name.to_owned()
        };
        write_section(&mut text, &path, section, has_variables(section));
    }
    text
}

fn write_section(text: &mut String, path: &str, section: &Key, has_variables: bool) {
    let (open, close) = if matches!(section.shape, Shape::Tables(_)) { ("[[", "]]") } else { ("[", "]") };
    // Writing to a string cannot fail.
    let _ = write!(text, "## `{open}{path}{close}`\n\n{}\n\n", section.doc);
    let (Shape::Table(keys) | Shape::Tables(keys) | Shape::Named(keys)) = section.shape else { return };
    text.push_str(if has_variables {
        "| key | type | default | meaning | variable |\n|---|---|---|---|---|\n"
    } else {
        "| key | type | default | meaning |\n|---|---|---|---|\n"
    });
    for key in keys.iter().filter(|key| key.is_known() && !is_section(key)) {
        let default = if key.default.is_empty() { "–".to_owned() } else { format!("`{}`", key.default) };
        let _ = write!(text, "| `{}` | {} | {default} | {} |", key.name, key.shape.type_name(), key.doc);
        if has_variables {
            let _ = write!(text, " `{}` |", variable_of(key));
        }
        text.push('\n');
    }
    text.push('\n');
    for key in keys.iter().filter(|key| key.is_known() && is_section(key)) {
        let name = if matches!(key.shape, Shape::Named(_)) { ".NAME" } else { "" };
        write_section(text, &format!("{path}.{}{name}", key.name), key, false);
    }
}

/// The JSON Schema (draft 2020-12) of `musher.toml`.
pub fn schema() -> String {
    let mut schema = table_schema(ROOT);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("musher.toml");
    format!("{schema:#}\n")
}

fn table_schema(keys: &[Key]) -> Value {
    let mut properties = Map::new();
    for key in keys.iter().filter(|key| key.is_known()) {
        let mut property = shape_schema(key.shape);
        property["description"] = json!(match key.default {
            "" => key.doc.to_owned(),
            default => format!("{} Default: {default}.", key.doc),
        });
        properties.insert(key.name.to_owned(), property);
    }
    let required: Vec<&str> = keys.iter().filter(|key| key.doc.contains("Required.")).map(|key| key.name).collect();
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn shape_schema(shape: Shape) -> Value {
    match shape {
        Shape::Text | Shape::Moment => json!({ "type": "string" }),
        Shape::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Shape::Money => json!({ "type": "number", "minimum": 0 }),
        Shape::Duration(least) | Shape::Size(least) => json!({ "anyOf": [
            { "type": "integer", "minimum": least },
            { "type": "string", "pattern": "^[0-9]" },
        ] }),
        Shape::Table(keys) => table_schema(keys),
        Shape::Tables(keys) => json!({ "type": "array", "items": table_schema(keys) }),
        Shape::Named(keys) => json!({ "type": "object", "additionalProperties": table_schema(keys) }),
        Shape::Secrets => json!({
            "type": "object",
            "additionalProperties": { "type": "string", "pattern": "^(env|file):" },
        }),
        Shape::Later => json!(false),
    }
}
