//! JSON Schemas of the files, generated from the types.

use schemars::generate::SchemaSettings;

use crate::hold::Hold;
use crate::last_refused::LastRefused;
use crate::last_skipped::LastSkipped;
use crate::manifest::Manifest;
use crate::offsite::OffsiteRecord;
use crate::repository::Repository;
use crate::run_report::RunReport;
use crate::status::Status;
use crate::status_journal::StatusChange;
use crate::verification::VerificationRecord;

/// Every schema: the file's name in `docs/schema/`, and its contents.
pub fn all() -> Vec<(&'static str, String)> {
    vec![
        ("hold.schema.json", text::<Hold>()),
        ("last_refused.schema.json", text::<LastRefused>()),
        ("last_skipped.schema.json", text::<LastSkipped>()),
        ("manifest.schema.json", text::<Manifest>()),
        ("offsite_record.schema.json", text::<OffsiteRecord>()),
        ("repository.schema.json", text::<Repository>()),
        ("run_report.schema.json", text::<RunReport>()),
        ("status_journal.schema.json", text::<StatusChange>()),
        ("status.schema.json", text::<Status>()),
        ("verification.schema.json", text::<VerificationRecord>()),
    ]
}

fn text<T: schemars::JsonSchema>() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    format!("{:#}\n", schema.as_value())
}
