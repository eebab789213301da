//! Digests of a few points of a collection, to compare with a test restore.

use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;
use crate::open_enum::open_enum;

open_enum! {
    /// Algorithm of a point's digest. A different algorithm gets a different value.
    pub enum PointDigest {
        /// SHA-256 of a point's canonical form, version 1, as described in the runner's module `sample::canonical`.
        CanonicalV1 = "sha256-canonical-1",
    }
}

/// Points that were the same before and after the snapshot, so that the snapshot must contain them unchanged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PointsSample {
    /// Algorithm of the digests.
    pub algorithm: PointDigest,
    /// Sampled points with their digests.
    pub points: Vec<SampledPoint>,
}

/// One point of a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SampledPoint {
    /// Its id: a number, or a UUID as text.
    pub id: serde_json::Value,
    /// The digest of its id, payload and vectors.
    pub sha256: Sha256Digest,
}
