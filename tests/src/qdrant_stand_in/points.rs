//! The points of a collection, generated on request from a seed. Any number of them needs no memory, and a restored
//! collection has the same points as its source.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value, json};

use super::mix::mix;

/// The source of a collection's points. The shards define how many there are.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    /// The seed. A restored collection has its source's seed.
    pub seed: String,
    /// Whether ids are UUIDs instead of numbers.
    pub uuid_ids: bool,
    /// Points that differ from the generated ones, by index. Each is a whole point in Qdrant's format:
    /// `{"id", "payload", "vector"}`.
    pub overrides: BTreeMap<u64, Value>,
    /// Points written by clients; `None` if deleted.
    pub(crate) written: BTreeMap<Key, Option<Value>>,
}

/// An id as a sort key: numbers first, then UUIDs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Number(u64),
    Text(String),
}

impl Key {
    pub(crate) fn of(id: &Value) -> Option<Key> {
        match id {
            Value::String(text) => Some(Key::Text(text.clone())),
            id => id.as_u64().map(Key::Number),
        }
    }

    pub(crate) fn value(&self) -> Value {
        match self {
            Key::Number(number) => json!(number),
            Key::Text(text) => json!(text),
        }
    }
}

impl Points {
    /// Points with numeric ids.
    pub fn new(seed: &str) -> Points {
        Points {
            seed: seed.to_owned(),
            uuid_ids: false,
            overrides: BTreeMap::new(),
            written: BTreeMap::new(),
        }
    }

    /// These points within a range of indices, and the other points elsewhere, if both are of the same kind.
    pub(crate) fn beside(mut self, others: &Points, within: &Range<u64>) -> Points {
        if others.seed == self.seed {
            self.overrides.retain(|index, _| within.contains(index));
            let beside = others.overrides.iter().filter(|(index, _)| !within.contains(index));
            self.overrides.extend(beside.map(|(index, point)| (*index, point.clone())));
            self.written.extend(others.written.iter().map(|(key, point)| (key.clone(), point.clone())));
        }
        self
    }

    /// The whole point at this index, counted from 0 in the order of ids.
    pub fn point(&self, index: u64, config: &Value) -> Value {
        if let Some(point) = self.overrides.get(&index) {
            return point.clone();
        }
        let lang = if self.number(index, 0).is_multiple_of(2) { "en" } else { "de" };
        json!({
            "id": self.id(index),
            "payload": {
                "doc": format!("doc-{index}"),
                "lang": lang,
                "source": "wiki",
                "text": "lorem ipsum ".repeat(5),
                "n": index,
            },
            "vector": self.vector(index, &config["params"]),
        })
    }

    /// The id of the point at this index.
    pub fn id(&self, index: u64) -> Value {
        match self.overrides.get(&index).and_then(|point| point.get("id")) {
            Some(id) => id.clone(),
            None if self.uuid_ids => json!(format!("{index:08x}-0000-4000-8000-{:012x}", index)),
            None => json!(index),
        }
    }

    /// The index of the point with this id, if such a point is possible.
    pub fn index_of(&self, id: &Value) -> Option<u64> {
        if let Some((index, _)) = self.overrides.iter().find(|(_, point)| point.get("id") == Some(id)) {
            return Some(*index);
        }
        let index = match id {
            Value::String(text) => u64::from_str_radix(text.get(..8)?, 16).ok()?,
            id => id.as_u64()?,
        };
        (self.id(index) == *id).then_some(index)
    }

    /// Increases the first component of each of the point's vectors slightly.
    pub fn change_vector(&mut self, index: u64, config: &Value) {
        let mut point = self.point(index, config);
        if let Some(vector) = point.get_mut("vector") {
            match vector {
                Value::Object(named) => named.values_mut().for_each(change_first),
                single => change_first(single),
            }
        }
        self.overrides.insert(index, point);
    }

    fn vector(&self, index: u64, params: &Value) -> Value {
        let size = |vector: &Value| vector.get("size").and_then(Value::as_u64);
        let sparse = params.get("sparse_vectors").and_then(Value::as_object);
        if let (Some(size), None) = (size(&params["vectors"]), sparse) {
            return self.dense(index, size, 1);
        }
        let mut named = Map::new();
        let dense = params["vectors"].as_object().into_iter().flatten();
        for (number, (name, vector)) in dense.enumerate() {
            named.insert(name.clone(), self.dense(index, size(vector).unwrap_or(4), 100 + number as u64));
        }
        for name in sparse.into_iter().flat_map(Map::keys) {
            let indices = [1 + index % 7, 20 + index % 13, 50 + index];
            let values = self.dense(index, indices.len() as u64, 200);
            named.insert(name.clone(), json!({ "indices": indices, "values": values }));
        }
        Value::Object(named)
    }

    fn dense(&self, index: u64, size: u64, salt: u64) -> Value {
        // Multiples of 1/1024 are exact as 32-bit floats, so they print as briefly as in Qdrant.
        let component = |position| {
            let number = self.number(index, salt.wrapping_mul(1_000_003) ^ position) % 2048;
            number as f64 / 1024.0 - 1.0
        };
        (0..size).map(component).collect()
    }

    fn number(&self, index: u64, salt: u64) -> u64 {
        let seed = self.seed.bytes().fold(7, |seed: u64, byte| mix(seed ^ u64::from(byte)));
        mix(seed ^ mix(index ^ mix(salt)))
    }
}

fn change_first(vector: &mut Value) {
    let components = match vector {
        Value::Object(sparse) => sparse.get_mut("values"),
        dense => Some(dense),
    };
    if let Some(first) = components.and_then(Value::as_array_mut).and_then(|all| all.first_mut()) {
        *first = json!(first.as_f64().unwrap_or(0.0) + 0.125);
    }
}

/// The point in an answer, with or without payload and vectors.
pub(crate) fn view(mut point: Value, with_payload: bool, with_vector: &Value) -> Value {
    let Some(members) = point.as_object_mut() else { return point };
    if !with_payload {
        members.remove("payload");
    }
    match with_vector {
        Value::Bool(true) => {}
        Value::Array(names) => {
            if let Some(Value::Object(named)) = members.get_mut("vector") {
                named.retain(|name, _| names.iter().any(|wanted| wanted.as_str() == Some(name)));
            }
        }
        _ => {
            members.remove("vector");
        }
    }
    point
}
