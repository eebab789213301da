//! What is found, how bad it is, and which document helps.

use serde::Serialize;

/// How bad it is, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// All is well.
    Fine,
    /// Good to know; nothing to do.
    Notice,
    /// To be looked at soon.
    Warning,
    /// Nobody can say whether the backups are well.
    Unknown,
    /// There may be no backup to rely on.
    Critical,
}

macro_rules! kinds {
    ($($kind:ident)+) => {
        /// What kind of finding it is. Each is a heading in docs/exporter.md.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "kebab-case")]
        #[expect(missing_docs, reason = "docs/exporter.md has a section about each, and a test that it does")]
        pub enum Kind { $($kind),+ }

        impl Kind {
            /// Every kind, for the test that each is documented.
            pub const ALL: &[Self] = &[$(Self::$kind),+];
        }
    };
}

kinds! {
    DirectoryUnreadable StatusUnreadable NeverRan NoCollection NoBackup TooOld NoSchedule RunFailed
    RunStalled Running RunSkipped StartRefused SourceChanged VerificationFailed Incomplete CopiesDamaged
    CopiesTooOld BackupMissing NotVerified StorageTooSmall StorageUnknown FilesUnreadable CollectionGone
    FutureTimestamp ServerLeftovers
}

impl Kind {
    /// Its name, as in JSON and in the document's anchors.
    pub fn name(self) -> String {
        serde_json::to_string(&self).unwrap_or_default().trim_matches('"').to_owned()
    }
}

/// One thing that is to be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// What kind of thing.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// A sentence for a person.
    pub text: String,
    /// The document that says what to do.
    pub document: String,
}

/// The judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdict {
    /// The worst of the findings; fine without any.
    pub severity: Severity,
    /// All of it in one sentence.
    pub headline: String,
    /// What there is to know, the worst first.
    pub findings: Vec<Finding>,
}
