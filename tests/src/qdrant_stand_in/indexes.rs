//! Creates and drops payload indexes.

use serde_json::{Value, json};

use super::answers::{Reply, error, no_collection, ok};
use super::collections_api::bad_json;
use super::request::Asked;
use super::state::State;

const TYPES: [&str; 8] = ["keyword", "integer", "float", "geo", "text", "bool", "datetime", "uuid"];

/// `PUT /collections/{c}/index`: a type, or parameters that contain the type.
pub(crate) fn create(state: &mut State, asked: &Asked) -> Reply {
    let body = asked.json.as_ref();
    let Some((body, field)) = body.and_then(|body| Some((body, body.get("field_name")?.as_str()?))) else {
        return bad_json(asked);
    };
    let schema = ["field_schema", "field_type"].iter().find_map(|key| body.get(key));
    let Some(schema) = schema.filter(|schema| !schema.is_null()) else {
        let message =
            "Bad request: Can't auto-detect field type, please specify `field_schema` in the request";
        return error(400, message, asked.started);
    };
    let (kind, params) = match schema {
        Value::Object(params) => (params.get("type"), Some(schema.clone())),
        kind => (Some(kind), None),
    };
    let kind = kind.and_then(Value::as_str).filter(|kind| TYPES.contains(kind));
    let Some(kind) = kind.map(str::to_owned) else {
        let message =
            "Format error in JSON body: data did not match any variant of untagged enum PayloadFieldSchema";
        return error(400, message, asked.started);
    };
    let Some(collection) = state.find_mut(&asked.route.collection) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    collection.payload_indexes.insert(field.to_owned(), kind);
    collection.index_params.remove(field);
    if let Some(params) = params {
        collection.index_params.insert(field.to_owned(), params);
    }
    state.commit += 1;
    done(asked)
}

/// `DELETE /collections/{c}/index/{field}`
pub(crate) fn delete(state: &mut State, asked: &Asked) -> Reply {
    let Some(collection) = state.find_mut(&asked.route.collection) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    collection.payload_indexes.remove(&asked.route.item);
    collection.index_params.remove(&asked.route.item);
    state.commit += 1;
    done(asked)
}

fn done(asked: &Asked) -> Reply {
    let waited = asked.query.get("wait").is_some_and(|wait| wait == "true");
    let status = if waited { "completed" } else { "acknowledged" };
    ok(&json!({ "operation_id": 1, "status": status }), asked.started)
}
