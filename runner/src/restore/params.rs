//! Parameters that Qdrant 1.14 to 1.19 lose when they create a collection from a snapshot or a request.

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::manifest::Source;
use serde_json::{Map, Value};

use crate::qdrant::{Client, CreateBody};
use crate::session::Session;

/// Sets these parameters in a restored collection. A failure is only a warning: they only affect how reads are distributed over
/// replicas.
pub async fn complete(session: &mut Session, client: &Client, target: &CollectionName, source: &Source) {
    let Some(backup) = source.config.as_ref() else { return };
    if left_out(backup, &Value::Null).is_empty() {
        return;
    }
    let result = async {
        let lacking = left_out(backup, &client.collection_info(target).await?.config);
        if lacking.is_empty() { Ok(()) } else { client.set_params(target, &lacking).await }
    };
    if let Err(error) = result.await {
        let wanted = Value::Object(left_out(backup, &Value::Null));
        session.warn(format!(
            "{error}; \"{target}\" was restored without {wanted}: set it with PATCH /collections/NAME"
        ));
    }
}

/// The parameters of `backup` that `restored` lacks.
fn left_out(backup: &Value, restored: &Value) -> Map<String, Value> {
    let there = CreateBody::of(restored, None).params_later;
    let had = CreateBody::of(backup, None).params_later;
    had.into_iter().filter(|(key, _)| !there.contains_key(key)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_backup_has_and_the_restored_lacks_is_set() {
        let backup =
            json!({ "params": { "read_fan_out_factor": 2, "read_fan_out_delay_ms": 50, "shard_number": 1 } });
        let lacking = |restored: Value| Value::Object(left_out(&backup, &restored));
        assert_eq!(
            lacking(json!({ "params": { "shard_number": 1 } })),
            json!({ "read_fan_out_factor": 2, "read_fan_out_delay_ms": 50 })
        );
        let some = json!({ "params": { "read_fan_out_factor": 3, "read_fan_out_delay_ms": null } });
        assert_eq!(lacking(some), json!({ "read_fan_out_delay_ms": 50 }));
        assert!(left_out(&json!({ "params": { "read_fan_out_factor": null } }), &Value::Null).is_empty());
        assert!(left_out(&json!({}), &Value::Null).is_empty());
    }
}
