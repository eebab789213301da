//! Counting, scrolling and retrieving points.

use serde_json::{Value, json};

use super::answers::{Reply, no_collection, ok};
use super::collections_api::bad_json;
use super::effect::Effect;
use super::points::view;
use super::request::Asked;
use super::state::State;
use super::strict_mode::{self, Wanted};

pub(crate) fn count(state: &mut State, asked: &Asked) -> Reply {
    let Some(collection) = state.find_mut(&asked.route.collection) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    let body = asked.json.as_ref();
    let exact = body.and_then(|body| body.get("exact")).and_then(Value::as_bool).unwrap_or(true);
    if let Some(refused) = strict_mode::refuse(collection, asked, &Wanted { exact, limit: None, cost: 1 }) {
        return refused;
    }
    let forced = asked.effects.iter().find_map(|effect| match effect {
        Effect::PointsCount(count) => Some(*count),
        _ => None,
    });
    let estimate = collection.estimate.filter(|_| !exact);
    let count = forced.or(estimate).unwrap_or_else(|| collection.visible_points());
    ok(&json!({ "count": count }), asked.started)
}

/// In the order of ids, from `offset` (an id) on.
pub(crate) fn scroll(state: &mut State, asked: &Asked) -> Reply {
    let Some(collection) = state.find_mut(&asked.route.collection) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    let Some(body) = asked.json.as_ref().filter(|body| body.is_object()) else {
        return bad_json(asked);
    };
    let wanted = Wanted { exact: false, limit: body.get("limit").and_then(Value::as_u64), cost: 1 };
    if let Some(refused) = strict_mode::refuse(collection, asked, &wanted) {
        return refused;
    }
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
pub(crate) fn retrieve(state: &mut State, asked: &Asked) -> Reply {
    let Some(collection) = state.find_mut(&asked.route.collection) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    let body = asked.json.as_ref();
    let Some((body, ids)) = body.and_then(|body| Some((body, body.get("ids")?.as_array()?))) else {
        return bad_json(asked);
    };
    let wanted = Wanted { exact: false, limit: None, cost: ids.len() };
    if let Some(refused) = strict_mode::refuse(collection, asked, &wanted) {
        return refused;
    }
    let (_, with_vector) = selection(body);
    // Unlike a scroll, this leaves payloads out unless they are asked for.
    let with_payload = !matches!(body.get("with_payload"), None | Some(Value::Null | Value::Bool(false)));
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
