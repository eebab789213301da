//! Differences between two versions of a point. Pure functions.
//!
//! Payloads are equal if they have the same keys with the same values, in any order. Qdrant may change the last bits of a decimal
//! number that it reads, so numbers that differ by at most [`DECIMAL_TOLERANCE`] are equal. Vectors are 32-bit floats, and equal if all
//! bits are. With the cosine distance the server stores normalized vectors, so writing the same vector again may change the last
//! bits; there, differences of at most [`COSINE_TOLERANCE`] per component are ignored.

use std::collections::{BTreeMap, BTreeSet};

use qdrant_backup_shared::manifest::is_custom;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::point::Point;

/// Qdrant's own tolerance for the length 1.
const COSINE_TOLERANCE: f32 = 1e-6;

/// In parts of the number.
const DECIMAL_TOLERANCE: f64 = 4.0 * f64::EPSILON;

/// Qdrant's name for the unnamed vector.
const UNNAMED: &str = "";

/// The differences of a point.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Keys of the payload that were changed, added or removed.
    pub payload: Vec<String>,
    /// Names of vectors. The unnamed vector has an empty name.
    pub vectors: Vec<String>,
    /// Whether it is under another shard key.
    pub shard_key: bool,
}

/// Tolerated differences between two collections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// The vectors whose distance is cosine, by name.
    cosine: BTreeSet<String>,
    /// Whether to compare shard keys: only if both have custom sharding.
    shard_keys: bool,
}

impl Rules {
    /// For collections with these configurations.
    pub fn of(ours: &Value, theirs: &Value) -> Self {
        let shard_keys = is_custom(ours) && is_custom(theirs);
        let Some(vectors) = theirs.pointer("/params/vectors").and_then(Value::as_object) else {
            return Self { shard_keys, ..Self::default() };
        };
        let is_cosine = |vector: &Value| vector.get("distance").and_then(Value::as_str) == Some("Cosine");
        let cosine = if vectors.get("size").is_some_and(Value::is_number) {
            let is_cosine = vectors.get("distance").and_then(Value::as_str) == Some("Cosine");
            is_cosine.then(|| UNNAMED.to_owned()).into_iter().collect()
        } else {
            vectors.iter().filter(|(_, vector)| is_cosine(vector)).map(|(name, _)| name.clone()).collect()
        };
        Self { cosine, shard_keys }
    }
}

/// The difference between `ours` and `theirs` with the same id. None if they are equal.
pub fn difference(ours: &Point, theirs: &Point, rules: &Rules) -> Option<Difference> {
    let found = Difference {
        payload: payload(&ours.payload, &theirs.payload),
        vectors: vectors(&ours.vector, &theirs.vector, &rules.cosine),
        shard_key: rules.shard_keys && ours.shard_key != theirs.shard_key,
    };
    (found != Difference::default()).then_some(found)
}

fn payload(ours: &RawValue, theirs: &RawValue) -> Vec<String> {
    if ours.get() == theirs.get() {
        return Vec::new();
    }
    differing(&object(ours), &object(theirs), |_, ours, theirs| is_same_value(ours, theirs))
}

/// The names that only one of them has, or whose values are not the same.
fn differing(
    ours: &BTreeMap<String, Value>,
    theirs: &BTreeMap<String, Value>,
    is_same: impl Fn(&str, &Value, &Value) -> bool,
) -> Vec<String> {
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let differ = |name: &&String| match (ours.get(*name), theirs.get(*name)) {
        (Some(ours), Some(theirs)) => !is_same(name, ours, theirs),
        _ => true,
    };
    names.into_iter().filter(differ).cloned().collect()
}

fn is_same_value(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap_or(f64::NAN), other.as_f64().unwrap_or(f64::NAN));
            (one - other).abs() <= DECIMAL_TOLERANCE * one.abs().max(other.abs())
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(one, other)| is_same_value(one, other))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let has = |(key, one): (&String, &Value)| {
                theirs.get(key).is_some_and(|other| is_same_value(one, other))
            };
            ours.len() == theirs.len() && ours.iter().all(has)
        }
        _ => ours == theirs,
    }
}

fn object(text: &RawValue) -> BTreeMap<String, Value> {
    serde_json::from_str::<Option<_>>(text.get()).ok().flatten().unwrap_or_default()
}

fn vectors(ours: &RawValue, theirs: &RawValue, cosine: &BTreeSet<String>) -> Vec<String> {
    if ours.get() == theirs.get() {
        return Vec::new();
    }
    let is_same = |name: &str, ours: &Value, theirs: &Value| is_same(ours, theirs, cosine.contains(name));
    differing(&named(ours), &named(theirs), is_same)
}

/// The vectors by name.
fn named(text: &RawValue) -> BTreeMap<String, Value> {
    match serde_json::from_str(text.get()) {
        Ok(Value::Object(named)) => named.into_iter().collect(),
        Ok(Value::Null) | Err(_) => BTreeMap::new(),
        Ok(unnamed) => BTreeMap::from([(UNNAMED.to_owned(), unnamed)]),
    }
}

fn is_same(ours: &Value, theirs: &Value, is_cosine: bool) -> bool {
    match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) => {
            // Rows of a multivector, or components.
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| is_same(ours, theirs, is_cosine))
        }
        (Value::Object(ours), Value::Object(theirs)) => sparse(ours) == sparse(theirs),
        (Value::Number(_), Value::Number(_)) => match (component(ours), component(theirs)) {
            (Some(ours), Some(theirs)) => {
                ours.to_bits() == theirs.to_bits() || is_cosine && (ours - theirs).abs() <= COSINE_TOLERANCE
            }
            _ => false,
        },
        _ => ours == theirs,
    }
}

/// Indices with the bits of their values, in order.
fn sparse(vector: &Map<String, Value>) -> Option<Vec<(u64, u32)>> {
    let (indices, values) = (vector.get("indices")?.as_array()?, vector.get("values")?.as_array()?);
    if indices.len() != values.len() {
        return None;
    }
    let pair = |(index, value): (&Value, &Value)| Some((index.as_u64()?, component(value)?.to_bits()));
    let mut pairs: Vec<(u64, u32)> = indices.iter().zip(values).map(pair).collect::<Option<_>>()?;
    pairs.sort_unstable();
    Some(pairs)
}

fn component(value: &Value) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "it is a 32-bit float that was printed and parsed")]
    value.as_f64().map(|float| float as f32)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn point(text: &str) -> Point {
        Point::of(serde_json::from_str(text).unwrap()).unwrap()
    }

    fn found(ours: &str, theirs: &str, rules: &Rules) -> Option<(Vec<String>, Vec<String>, bool)> {
        let found = difference(&point(ours), &point(theirs), rules)?;
        Some((found.payload, found.vectors, found.shard_key))
    }

    #[test]
    fn the_order_of_keys_and_the_spelling_of_floats_do_not_matter() {
        let ours = r#"{"id":1,"payload":{"a":{"x":1,"y":2.50},"b":[1,null]},"vector":[0.1,-1.0,3]}"#;
        let theirs = r#"{"vector":[1e-1,-1,3.0],"payload":{"b":[1,null],"a":{"y":2.5,"x":1}},"id":1}"#;
        assert_eq!(found(ours, theirs, &Rules::default()), None);
        let none = r#"{"id":1,"payload":null,"vector":{}}"#;
        assert_eq!(found(none, r#"{"id":1,"payload":{}}"#, &Rules::default()), None);
    }

    #[test]
    fn decimal_numbers_that_a_server_rounds_are_the_same_and_whole_ones_are_not() {
        let point = |number: &str| format!(r#"{{"id":1,"payload":{{"a":[{{"b":{number}}}]}}}}"#);
        let differ = |one: &str, other: &str| found(&point(one), &point(other), &Rules::default()).is_some();
        assert!(!differ("8.075676977333619e-16", "8.075676977333618e-16"));
        assert!(!differ("-1.1", "-1.1000000000000001"));
        assert!(differ("1.1", "1.100000000000002"));
        assert!(differ("9007199254740993", "9007199254740992"));
        assert!(differ("1.0", "1.0000001") && differ("0.0", "1e-300") && differ("1.5", "-1.5"));
    }

    #[test]
    fn keys_and_vectors_that_differ_are_named() {
        let ours = r#"{"id":1,"payload":{"a":1,"b":2,"c":[1]},"vector":{"x":[1,2],"y":[3]}}"#;
        let theirs =
            r#"{"id":1,"payload":{"a":1,"b":3,"d":[1]},"vector":{"x":[1,2.5],"z":[3]},"shard_key":"eu"}"#;
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let custom = json!({ "params": { "sharding_method": "custom" } });
        let expected = |shard_key| Some((names(&["b", "c", "d"]), names(&["x", "y", "z"]), shard_key));
        assert_eq!(found(ours, theirs, &Rules::of(&custom, &custom)), expected(true));
        assert_eq!(found(ours, theirs, &Rules::of(&custom, &json!({}))), expected(false));
        let unnamed = found(r#"{"id":1,"vector":[1,2]}"#, r#"{"id":1,"vector":{}}"#, &Rules::default());
        assert_eq!(unnamed, Some((vec![], names(&[""]), false)));
    }

    #[test]
    fn one_bit_is_a_difference_and_under_cosine_none() {
        let (ours, theirs) = (r#"{"id":1,"vector":[0.6,0.8]}"#, r#"{"id":1,"vector":[0.6,0.80000007]}"#);
        assert!(found(ours, theirs, &Rules::default()).is_some());
        let config = json!({ "params": { "vectors": { "size": 2, "distance": "Cosine" } } });
        let cosine = Rules::of(&config, &config);
        assert_eq!(found(ours, theirs, &cosine), None);
        assert!(found(ours, r#"{"id":1,"vector":[0.6,0.80001]}"#, &cosine).is_some());
        let rows =
            |last: f32| format!(r#"{{"id":1,"vector":{{"m":[[0.6,0.8],[1.0,{last}]],"d":[{last}]}}}}"#);
        let named =
            json!({ "params": { "vectors": { "m": { "distance": "Cosine" }, "d": { "distance": "Dot" } } } });
        let between = found(&rows(0.5), &rows(0.500_000_06), &Rules::of(&named, &named));
        assert_eq!(between, Some((vec![], vec!["d".to_owned()], false)));
    }

    #[test]
    fn sparse_vectors_have_no_order() {
        let ours = r#"{"id":1,"vector":{"s":{"indices":[1,5],"values":[0.5,0.25]}}}"#;
        let swapped = r#"{"id":1,"vector":{"s":{"indices":[5,1],"values":[0.25,0.5]}}}"#;
        let other = r#"{"id":1,"vector":{"s":{"indices":[5,1],"values":[0.5,0.25]}}}"#;
        assert_eq!(found(ours, swapped, &Rules::default()), None);
        assert!(found(ours, other, &Rules::default()).is_some());
    }
}
