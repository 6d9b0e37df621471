//! The description of the service for clients.

use serde_json::{Map, Value, json};

use super::Limits;
use super::api::TOP;
use crate::data::{Field, FieldKind, Schema};
use crate::retrieve::POPULARITY;

/// An OpenAPI 3.1 document; `user_fields`: those that are read of users, if any are.
pub fn document(limits: &Limits, user_fields: Option<&Schema>) -> Value {
    let mut document = plain(limits);
    if let Some(schema) = user_fields {
        document["components"]["schemas"]["Wish"]["properties"]["fields"] = fields(limits, schema);
    }
    document
}

/// Fields of users, by name and kind.
fn fields(limits: &Limits, schema: &Schema) -> Value {
    let of = |field: &Field| {
        let (kinds, what) = match field.kind {
            FieldKind::Category => (vec!["string", "number", "boolean"], "One value."),
            FieldKind::Categories => (vec!["array", "string", "number", "boolean"], "Values."),
            FieldKind::Number => (vec!["number", "string"], "A finite number."),
        };
        let kinds = [kinds, vec!["null"]].concat();
        let mut described = json!({"type": kinds, "description": what});
        if field.kind == FieldKind::Categories {
            described["maxItems"] = limits.listed.into();
            described["items"] = json!({"type": ["string", "number", "boolean", "null"]});
        }
        (field.name.clone(), described)
    };
    json!({
        "type": ["array", "null"],
        "maxItems": limits.histories,
        "description": "What is known of the user of each history besides it, one for each. Null, and a field that is left out: nothing. Values that the model does not know count as unknown.",
        "items": {
            "type": ["object", "null"],
            "additionalProperties": false,
            "properties": schema.fields.iter().map(of).collect::<Map<_, _>>(),
        },
    })
}

fn plain(limits: &Limits) -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let answer = |what: &str, kind: &str, schema: Value| json!({"description": what, "content": {kind: {"schema": schema}}});
    let failed = |what: &str| answer(what, "application/json", reference("Failure"));
    let text = |what: &str| answer(what, "text/plain", json!({"type": "string"}));
    let items = json!({
        "type": "object",
        "required": ["items", "unknown"],
        "properties": {
            "items": {
                "type": "array",
                "description": "The best first.",
                "items": {
                    "type": "object",
                    "required": ["item", "score"],
                    "properties": {
                        "item": {"type": "string", "description": "Original id."},
                        "score": {
                            "type": "number",
                            "description": "Inner product of the user's and the item's vector, and what repeats add; with a fallback, interactions with the item in the training part.",
                        },
                    },
                },
            },
            "unknown": {
                "type": "integer",
                "description": "Items of the history that are not known; they are passed over.",
            },
            "fallback": {
                "type": "string",
                "enum": [POPULARITY],
                "description": "What answered in the model's place, because no item of the history is known; only with --cold-start.",
            },
        },
    });
    let id = json!({
        "type": ["string", "integer"],
        "description": "A whole number stands for its digits.",
    });
    let list = |what: &str| {
        json!({
            "type": ["array", "null"],
            "maxItems": limits.listed,
            "description": what,
            "items": id,
        })
    };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "croloss",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The best items of a catalogue for histories of items.",
        },
        "paths": {
            "/recommend": {"post": {
                "summary": "The best items for each of some histories",
                "requestBody": {
                    "required": true,
                    "description": format!("At most {} bytes.", limits.body),
                    "content": {"application/json": {"schema": reference("Wish")}},
                },
                "responses": {
                    "200": answer("In the order of the histories.", "application/json", reference("Answer")),
                    "400": failed("The body is not as described; the error says where."),
                    "408": failed("The body did not arrive in time."),
                    "413": failed("The body is too large."),
                    "500": failed("Scoring failed."),
                    "503": failed("Too many requests, or answers, are waiting."),
                    "504": failed("The answer was not ready in time."),
                },
            }},
            "/reload": {"post": {
                "summary": "Have the export loaded anew, and served from then on",
                "responses": {
                    "200": answer("It is served.", "application/json", json!({
                        "type": "object",
                        "required": ["items"],
                        "properties": {"items": {"type": "integer"}},
                    })),
                    "403": failed("The client may not."),
                    "500": failed("It could not be loaded; what was served before is served on."),
                },
            }},
            "/healthz": {"get": {
                "summary": "Whether the service is up",
                "responses": {"200": text("It is.")},
            }},
            "/metrics": {"get": {
                "summary": "Counters in Prometheus' text format",
                "responses": {"200": text("Counters since the start.")},
            }},
            "/openapi.json": {"get": {
                "summary": "This document",
                "responses": {"200": answer("OpenAPI 3.1.", "application/json", json!({"type": "object"}))},
            }},
        },
        "components": {"schemas": {
            "Wish": {
                "type": "object",
                "additionalProperties": false,
                "required": ["histories"],
                "properties": {
                    "histories": {
                        "type": "array",
                        "maxItems": limits.histories,
                        "items": {
                            "type": "array",
                            "maxItems": limits.history,
                            "description": "Original item ids, oldest first.",
                            "items": id,
                        },
                    },
                    "top": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": limits.top,
                        "default": TOP,
                        "description": "How many items for each history.",
                    },
                    "exclude_seen": {
                        "type": "boolean",
                        "default": false,
                        "description": "Leave out the items of the history.",
                    },
                    "allow": list("Original ids of the only items that may be given, for all histories; unknown ones are passed over. None: all may; an empty list: none may."),
                    "deny": list("Original ids of items that may not be given, for all histories; unknown ones are passed over."),
                },
            },
            "Answer": {
                "type": "object",
                "required": ["recommendations"],
                "properties": {
                    "recommendations": {
                        "type": "array",
                        "items": {"oneOf": [items, reference("Failure")]},
                    },
                },
            },
            "Failure": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string"}},
            },
        }},
    })
}
