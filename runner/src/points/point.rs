//! A point. Its payload and vectors are kept as the server's text.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::id::{NoPointId, PointId};
use crate::qdrant::WholePoint;

/// One point, as the server sent it.
#[derive(Debug, Clone)]
pub struct Point {
    /// Id, unique in the collection.
    pub id: PointId,
    /// Its payload, a JSON object or null.
    pub payload: Box<RawValue>,
    /// Its vectors: an unnamed one, or an object of named ones.
    pub vector: Box<RawValue>,
    /// The key of its shard, with custom sharding.
    pub shard_key: Option<Value>,
}

impl Point {
    /// From a server or a file.
    ///
    /// # Errors
    /// When its id is invalid.
    pub fn of(point: WholePoint) -> Result<Self, NoPointId> {
        Ok(Self {
            id: PointId::of(&point.id)?,
            payload: point.payload.unwrap_or_else(|| RawValue::NULL.to_owned()),
            vector: point.vector.unwrap_or_else(|| RawValue::NULL.to_owned()),
            shard_key: point.shard_key.filter(|key| !key.is_null()),
        })
    }

    /// As JSON for a write request, without its shard key, which belongs to the request.
    ///
    /// # Errors
    /// When it is not valid JSON.
    pub fn to_write(&self) -> serde_json::Result<Value> {
        let payload: Value = serde_json::from_str(self.payload.get())?;
        let vector: Value = serde_json::from_str(self.vector.get())?;
        // A point without a vector has an empty object of named ones.
        let vector = if vector.is_null() { Value::Object(Map::new()) } else { vector };
        let mut point = json!({ "id": self.id.value(), "vector": vector });
        if !payload.is_null() {
            point["payload"] = payload;
        }
        Ok(point)
    }

    /// As a line of JSON, without the line's end.
    pub fn line(&self) -> String {
        let (id, payload, vector) = (self.id.value(), self.payload.get(), self.vector.get());
        let key = self.shard_key.as_ref().map(|key| format!(",\"shard_key\":{key}")).unwrap_or_default();
        let line = format!("{{\"id\":{id},\"payload\":{payload},\"vector\":{vector}{key}}}");
        // Line breaks can only be white space, because JSON strings contain none.
        if line.contains(['\n', '\r']) { line.replace(['\n', '\r'], " ") } else { line }
    }

    /// Size of its text.
    pub fn size_bytes(&self) -> usize {
        self.payload.get().len() + self.vector.get().len() + 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_goes_through_a_line_unchanged() {
        let text = r#"{"id":7,"payload":{"a":[1,2.50],"b":"x"},"vector":{"v":[0.1,-0.0]},"shard_key":"eu"}"#;
        let point = Point::of(serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(point.line(), text);
        let written = point.to_write().unwrap();
        assert_eq!(
            written,
            json!({ "id": 7, "payload": { "a": [1, 2.5], "b": "x" }, "vector": { "v": [0.1, -0.0] } })
        );
    }

    #[test]
    fn lines_end_only_where_points_do() {
        let text = "{\"id\":7,\"payload\":{\n \"a\":\"x\\ny\"},\"vector\":[1,\n2]}";
        let line = Point::of(serde_json::from_str(text).unwrap()).unwrap().line();
        assert_eq!(line, "{\"id\":7,\"payload\":{  \"a\":\"x\\ny\"},\"vector\":[1, 2]}");
    }

    #[test]
    fn what_is_absent_is_written_as_nothing() {
        let point = Point::of(serde_json::from_str(r#"{"id":7,"shard_key":null}"#).unwrap()).unwrap();
        assert_eq!(point.to_write().unwrap(), json!({ "id": 7, "vector": {} }));
        assert_eq!(point.shard_key, None);
    }
}
