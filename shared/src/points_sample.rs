//! A few points of a collection by the digests of their content, so that a test restore can be held against them.

use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;
use crate::open_enum::open_enum;

open_enum! {
    /// How a point's digest is computed. Another way of computing it is another value.
    pub enum PointDigest {
        /// SHA-256 of a point's canonical form, version 1, as the runner's module `sample::canonical` describes it.
        CanonicalV1 = "sha256-canonical-1",
    }
}

/// Points that were the same before and after the snapshot was made, so that the snapshot has them exactly so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PointsSample {
    /// How the digests are computed.
    pub algorithm: PointDigest,
    /// The points.
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
