//! Counting, scrolling and retrieving points.

use serde_json::{Value, json};

use super::answers::{Reply, no_collection, ok};
use super::collections_api::bad_json;
use super::effect::Effect;
use super::handler::Asked;
use super::points::view;
use super::state::State;

pub(crate) fn count(state: &State, asked: &Asked) -> Reply {
    let Some(collection) = state.find(&asked.route.collection) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    let forced = asked.effects.iter().find_map(|effect| match effect {
        Effect::PointsCount(count) => Some(*count),
        _ => None,
    });
    ok(&json!({ "count": forced.unwrap_or_else(|| collection.visible_points()) }), asked.started)
}

/// In the order of ids, from `offset` (an id) on.
pub(crate) fn scroll(state: &State, asked: &Asked) -> Reply {
    let Some(collection) = state.find(&asked.route.collection) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    let Some(body) = asked.json.as_ref().filter(|body| body.is_object()) else {
        return bad_json(asked);
    };
    let total = collection.visible_points();
    let start = match body.get("offset") {
        None | Some(Value::Null) => Some(0),
        Some(id) => collection.points.index_of(id),
    };
    let Some(start) = start else { return bad_json(asked) };
    let limit = body.get("limit").and_then(Value::as_u64).unwrap_or(10).max(1);
    let end = start.saturating_add(limit).min(total);
    let (with_payload, with_vector) = selection(body);
    let points: Vec<Value> = (start..end)
        .map(|index| view(collection.points.point(index, &collection.config), with_payload, &with_vector))
        .collect();
    let next = if end < total { collection.points.id(end) } else { Value::Null };
    ok(&json!({ "points": points, "next_page_offset": next }), asked.started)
}

/// The points with these ids; ids of no point are passed over.
pub(crate) fn retrieve(state: &State, asked: &Asked) -> Reply {
    let Some(collection) = state.find(&asked.route.collection) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    let body = asked.json.as_ref();
    let Some((body, ids)) = body.and_then(|body| Some((body, body.get("ids")?.as_array()?))) else {
        return bad_json(asked);
    };
    let (with_payload, with_vector) = selection(body);
    let points: Vec<Value> = ids
        .iter()
        .filter_map(|id| collection.points.index_of(id))
        .filter(|index| *index < collection.visible_points())
        .map(|index| view(collection.points.point(index, &collection.config), with_payload, &with_vector))
        .collect();
    ok(&json!(points), asked.started)
}

fn selection(body: &Value) -> (bool, Value) {
    let with_payload = !matches!(body.get("with_payload"), Some(Value::Bool(false)));
    (with_payload, body.get("with_vector").cloned().unwrap_or(Value::Bool(false)))
}
