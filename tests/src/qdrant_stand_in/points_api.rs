//! Counts, scrolls and retrieves points.

use serde_json::{Value, json};

use super::answers::{Reply, error, no_collection, ok};
use super::collection::Collection;
use super::collections_api::bad_json;
use super::effect::Effect;
use super::points::{Key, view};
use super::reads::{Readable, readable};
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
    if let Some(count) = forced.or(estimate) {
        return ok(&json!({ "count": count }), asked.started);
    }
    match read(state, asked) {
        Ok((_, readable)) => ok(&json!({ "count": readable.count }), asked.started),
        Err(refused) => *refused,
    }
}

/// Ordered by id, starting at `offset` (an id).
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
    let (collection, readable) = match read(state, asked) {
        Ok(read) => read,
        Err(refused) => return *refused,
    };
    let limit = body.get("limit").and_then(Value::as_u64).unwrap_or(10).max(1);
    let (with_payload, with_vector) = selection(body);
    let offset = body.get("offset").filter(|offset| !offset.is_null());
    let filter = body.get("filter").filter(|filter| !filter.is_null());
    if filter.is_some() || !collection.points.written.is_empty() || collection.is_custom() {
        let Some(filter) = Filter::of(filter) else { return bad_json(asked) };
        let from = offset.and_then(Key::of);
        let through = |point: &Value| filter.lets_through(point);
        let most = (limit as usize).saturating_add(1);
        let mut points = collection.listed(readable.indices(), from.as_ref(), most, through);
        let next = points.get(limit as usize).map_or(Value::Null, |point| point["id"].clone());
        points.truncate(limit as usize);
        let points: Vec<Value> =
            points.into_iter().map(|point| view(point, with_payload, &with_vector)).collect();
        return ok(&json!({ "points": points, "next_page_offset": next }), asked.started);
    }
    let Some(start) = offset.map_or(Some(0), |id| collection.points.index_of(id)) else {
        return bad_json(asked);
    };
    let (page, next) = readable.page(start, limit);
    let points: Vec<Value> = page
        .into_iter()
        .map(|index| view(collection.points.point(index, &collection.config), with_payload, &with_vector))
        .collect();
    let next = next.map_or(Value::Null, |index| collection.points.id(index));
    ok(&json!({ "points": points, "next_page_offset": next }), asked.started)
}

/// Conditions of the form `{"must": [{"key": …, "match": {"value": …}}]}` on top-level payload keys.
struct Filter(Vec<(String, Value)>);

impl Filter {
    fn of(filter: Option<&Value>) -> Option<Filter> {
        let Some(filter) = filter else { return Some(Filter(Vec::new())) };
        let condition = |condition: &Value| {
            let key = condition.get("key")?.as_str()?.to_owned();
            Some((key, condition.pointer("/match/value")?.clone()))
        };
        filter.get("must")?.as_array()?.iter().map(condition).collect::<Option<_>>().map(Filter)
    }

    fn lets_through(&self, point: &Value) -> bool {
        self.0.iter().all(|(key, value)| point["payload"].get(key) == Some(value))
    }
}

/// The points with these ids. Unknown ids are ignored.
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
    let (collection, readable) = match read(state, asked) {
        Ok(read) => read,
        Err(refused) => return *refused,
    };
    let (_, with_vector) = selection(body);
    // Unlike a scroll, this omits payloads by default.
    let with_payload = !matches!(body.get("with_payload"), None | Some(Value::Null | Value::Bool(false)));
    let points: Vec<Value> = ids
        .iter()
        .filter_map(|id| collection.point(id, |index| readable.has(index)))
        .map(|point| view(point, with_payload, &with_vector))
        .collect();
    ok(&json!(points), asked.started)
}

/// The collection and its readable points at the node that receives the request.
fn read<'a>(state: &'a State, asked: &Asked) -> Result<(&'a Collection, Readable), Box<Reply>> {
    let name = &asked.route.collection;
    let collection = state.find(name).ok_or_else(|| Box::new(no_collection(name, asked.started)))?;
    let readable = readable(state, collection, asked.node);
    readable
        .map(|readable| (collection, readable))
        .map_err(|message| Box::new(error(500, &message, asked.started)))
}

fn selection(body: &Value) -> (bool, Value) {
    let with_payload = !matches!(body.get("with_payload"), Some(Value::Bool(false)));
    (with_payload, body.get("with_vector").cloned().unwrap_or(Value::Bool(false)))
}
