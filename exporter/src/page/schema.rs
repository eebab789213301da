//! The JSON Schema of `/api/v1/status`, generated from the type.

use schemars::generate::SchemaSettings;

use super::Report;

/// Every schema: the file's name in `docs/schema/`, and its contents.
pub fn all() -> Vec<(&'static str, String)> {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Report>();
    vec![("exporter_status.schema.json", format!("{:#}\n", schema.as_value()))]
}
