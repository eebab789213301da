//! The JSON Schema of `/api/v1/status`, generated from the type.

use schemars::generate::SchemaSettings;

use super::Report;

/// The schema, as it is in `docs/schema/exporter_status.schema.json`.
pub fn text() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Report>();
    format!("{:#}\n", schema.as_value())
}
