use std::path::Path;

use learngene_tensors::{Result, Sha256};
use serde::{Deserialize, Serialize};

use crate::{
    Distances, FfnClusters, HeadClusters,
    json::{self, JsonFile},
};

/// Clusters of an ancestor's heads and FFNs: what `clusters.json` holds, and a section of the
/// [`Manifest`](crate::Manifest).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clusters {
    /// Clusters of heads, in each layer on its own.
    pub heads: HeadClusters,
    /// Layers that share one FFN.
    pub ffn: FfnClusters,
    /// Hash of the images behind the distances that were clustered.
    pub images_sha256: Sha256,
    /// Hash of the ancestor's checkpoint.
    pub ancestor_sha256: Sha256,
    /// Program or crate that clustered, and its version.
    pub producer: String,
}

impl Clusters {
    /// Clusters that were found in these distances.
    pub fn new(
        heads: HeadClusters,
        ffn: FfnClusters,
        distances: &Distances,
        producer: impl Into<String>,
    ) -> Self {
        let Distances { images_sha256, ancestor_sha256, .. } = *distances;
        Self { heads, ffn, images_sha256, ancestor_sha256, producer: producer.into() }
    }

    /// Checks that the fields are in range and agree with each other.
    ///
    /// # Errors
    /// Names the first that is wrong.
    pub fn check(&self) -> Result<()> {
        self.heads.check()?;
        self.ffn.check(self.heads.layers.len())
    }

    /// Reads a `clusters.json` and checks it.
    ///
    /// # Errors
    /// A file that cannot be read, holds something else, or contradicts itself.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        json::read(path.as_ref())
    }

    /// Writes a `clusters.json`, whole or not at all.
    ///
    /// # Errors
    /// Those of [`Clusters::check`]; a file that cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        json::write(self, path.as_ref())
    }
}

impl JsonFile for Clusters {
    const EXPECTED: &'static str = "clusters from `learngene cluster`";
    const FIELD: &'static str = "heads";

    fn check(&self) -> Result<()> {
        self.check()
    }
}
