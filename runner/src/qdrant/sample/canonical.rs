//! The digest of a point's content, which does not depend on when and where the point is read.
//!
//! Version 1 (`sha256-canonical-1`) is the SHA-256 of this byte sequence: the point's id, its payload and its vectors.
//! Each value is a tag, a byte, followed by its content; lengths and counts are 8 bytes, big-endian.
//!
//! | tag | value | content |
//! |---|---|---|
//! | `n` | null | – |
//! | `t`, `f` | true, false | – |
//! | `i` | integer | 8 bytes, two's complement |
//! | `u` | integer above 2^63 - 1 | 8 bytes |
//! | `d` | other number | the bits of its 64-bit float |
//! | `s` | text | length, UTF-8 |
//! | `a` | array | count, elements |
//! | `o` | object | count, then key (as text) and value in the order of the keys' bytes |
//! | `V` | dense vector | count, then the bits of each 32-bit float, 4 bytes |
//! | `M` | multivector | count, then each row as a dense vector |
//! | `S` | sparse vector | count, then index (8 bytes) and 32-bit float in the order of indices |
//! | `N` | named vectors | count, then name (as text) and vector in the order of the names' bytes |
//!
//! A missing payload or vector counts as an empty object. Vectors are 32-bit floats on the server, so their bits are
//! compared.

use qdrant_backup_shared::Sha256Digest;
use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

/// The digest of `point` in Qdrant's format: `id`, `payload`, `vector`. None if it has no id, or a vector of a kind
/// that version 1 does not support.
pub fn point_digest(point: &Value) -> Option<Sha256Digest> {
    let mut hasher = Canonical(Sha256::new());
    hasher.json(point.get("id")?);
    let empty = Value::Object(Map::new());
    let part = |name: &str| point.get(name).filter(|part| !part.is_null()).unwrap_or(&empty);
    hasher.json(part("payload"));
    hasher.vectors(part("vector"))?;
    Some(Sha256Digest::from_bytes(hasher.0.finalize().into()))
}

struct Canonical(Sha256);

impl Canonical {
    fn tag(&mut self, tag: u8) {
        self.0.update([tag]);
    }

    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.tag(b's');
        self.count(text.len());
        self.0.update(text.as_bytes());
    }

    fn json(&mut self, value: &Value) {
        match value {
            Value::Null => self.tag(b'n'),
            Value::Bool(true) => self.tag(b't'),
            Value::Bool(false) => self.tag(b'f'),
            Value::Number(number) => self.number(number),
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.tag(b'a');
                self.count(items.len());
                items.iter().for_each(|item| self.json(item));
            }
            Value::Object(members) => {
                self.tag(b'o');
                self.count(members.len());
                for (key, value) in sorted(members) {
                    self.text(key);
                    self.json(value);
                }
            }
        }
    }

    fn number(&mut self, number: &Number) {
        if let Some(integer) = number.as_i64() {
            self.tag(b'i');
            self.0.update(integer.to_be_bytes());
        } else if let Some(integer) = number.as_u64() {
            self.tag(b'u');
            self.0.update(integer.to_be_bytes());
        } else {
            self.tag(b'd');
            self.0.update(number.as_f64().unwrap_or(f64::NAN).to_bits().to_be_bytes());
        }
    }

    /// An unnamed vector, or named ones.
    fn vectors(&mut self, vectors: &Value) -> Option<()> {
        let Value::Object(named) = vectors else { return self.vector(vectors) };
        self.tag(b'N');
        self.count(named.len());
        for (name, vector) in sorted(named) {
            self.text(name);
            self.vector(vector)?;
        }
        Some(())
    }

    fn vector(&mut self, vector: &Value) -> Option<()> {
        match vector {
            Value::Array(rows) if rows.first().is_some_and(Value::is_array) => {
                self.tag(b'M');
                self.count(rows.len());
                rows.iter().try_for_each(|row| self.dense(row))
            }
            Value::Array(_) => self.dense(vector),
            Value::Object(sparse) => self.sparse(sparse),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }

    fn dense(&mut self, vector: &Value) -> Option<()> {
        let components = vector.as_array()?;
        self.tag(b'V');
        self.count(components.len());
        components.iter().try_for_each(|component| self.component(component))
    }

    fn sparse(&mut self, sparse: &Map<String, Value>) -> Option<()> {
        let (indices, values) = (sparse.get("indices")?.as_array()?, sparse.get("values")?.as_array()?);
        if indices.len() != values.len() {
            return None;
        }
        let indices: Option<Vec<u64>> = indices.iter().map(Value::as_u64).collect();
        let mut pairs: Vec<(u64, &Value)> = indices?.into_iter().zip(values).collect();
        pairs.sort_by_key(|(index, _)| *index);
        self.tag(b'S');
        self.count(pairs.len());
        pairs.into_iter().try_for_each(|(index, value)| {
            self.0.update(index.to_be_bytes());
            self.component(value)
        })
    }

    fn component(&mut self, component: &Value) -> Option<()> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is a 32-bit float that was printed and parsed"
        )]
        let float = component.as_f64()? as f32;
        self.0.update(float.to_bits().to_be_bytes());
        Some(())
    }
}

fn sorted(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<(&String, &Value)> = members.iter().collect();
    members.sort_by_key(|(key, _)| key.as_bytes());
    members
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digest(text: &str) -> Option<Sha256Digest> {
        point_digest(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn the_order_of_keys_and_the_spelling_of_floats_do_not_matter() {
        let one = digest(r#"{"id":1,"payload":{"a":{"x":1,"y":2.50},"b":[1,null]},"vector":[0.1,-1.0,3]}"#);
        let other = digest(
            r#"{"vector":[1e-1,-1,3.0],"payload":{"b":[1,null],"a":{"y":2.5,"x":1}},"id":1,"version":9}"#,
        );
        assert_eq!(one, other);
        assert_eq!(digest(r#"{"id":1,"payload":null,"vector":{}}"#), digest(r#"{"id":1,"payload":{}}"#));
    }

    #[test]
    fn whatever_differs_shows() {
        let base = json!({ "id": 1, "payload": { "a": [1, 2], "b": "c" }, "vector": [0.1, 0.2] });
        let changed = [
            json!({ "id": 2, "payload": { "a": [1, 2], "b": "c" }, "vector": [0.1, 0.2] }),
            json!({ "id": "1", "payload": { "a": [1, 2], "b": "c" }, "vector": [0.1, 0.2] }),
            json!({ "id": 1, "payload": { "a": [2, 1], "b": "c" }, "vector": [0.1, 0.2] }),
            json!({ "id": 1, "payload": { "a": [1, 2], "b": "d" }, "vector": [0.1, 0.2] }),
            json!({ "id": 1, "payload": { "a": [1.5, 2], "b": "c" }, "vector": [0.1, 0.2] }),
            json!({ "id": 1, "payload": { "a": [1, 2] }, "vector": [0.1, 0.2] }),
            json!({ "id": 1, "payload": { "a": [1, 2], "b": "c" }, "vector": [0.1, 0.200_001] }),
            json!({ "id": 1, "payload": { "a": [1, 2], "b": "c" }, "vector": [[0.1, 0.2]] }),
            json!({ "id": 1, "payload": { "a": [1, 2], "b": "c" }, "vector": { "": [0.1, 0.2] } }),
            json!({ "id": 1, "payload": { "a": [1, 2], "b": "c" } }),
        ];
        for other in changed {
            assert_ne!(point_digest(&base).unwrap(), point_digest(&other).unwrap(), "{other}");
        }
    }

    #[test]
    fn named_sparse_and_multi_vectors_are_covered() {
        let sparse = |indices: Value, values: Value| {
            point_digest(
                &json!({ "id": 1, "vector": { "text": { "indices": indices, "values": values }, "image": [[1.0], [2.0]] } }),
            )
        };
        assert_eq!(sparse(json!([7, 3]), json!([0.5, 0.25])), sparse(json!([3, 7]), json!([0.25, 0.5])));
        assert_ne!(sparse(json!([7, 3]), json!([0.5, 0.25])), sparse(json!([3, 7]), json!([0.5, 0.25])));
        assert_eq!(sparse(json!([1]), json!([])), None, "no vector that is known");
        assert_eq!(point_digest(&json!({ "id": 1, "vector": "odd" })), None);
        assert_eq!(point_digest(&json!({ "payload": {} })), None);
    }

    #[test]
    fn the_digest_of_version_1_never_changes() {
        let point = json!({ "id": 7, "payload": { "b": [true, null, -1, 1.5], "a": "ä" },
            "vector": { "dense": [0.5, -0.25], "multi": [[1.0], [2.0]], "sparse": { "indices": [2], "values": [0.125] } } });
        assert_eq!(
            point_digest(&point).unwrap().to_string(),
            "190cf6a9be266d7e175a29f59183b7e1643d9762ce94bb2616e761839f2317a3"
        );
    }
}
