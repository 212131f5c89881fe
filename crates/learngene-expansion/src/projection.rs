use serde::{Deserialize, Serialize};

use crate::text::named;

/// Where the output-projection columns of an inherited head come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProjectionPolicy {
    /// Columns stay where they were, as published: slot s takes those of ancestor head s mod H.
    /// Needs a learngene that kept whole projections.
    Origin,
    /// Columns follow their head.
    Centroid,
    /// Columns follow their head, times sqrt(cluster size) / copies: copies of one head add up
    /// coherently, members of a cluster do not. The default, as it kept the most in the ablation
    /// (README.md, results).
    #[default]
    Rescaled,
    /// Columns fitted to the ancestor's outputs when the learngene was condensed, divided by the
    /// copies of their head, which leaves the function unchanged. Needs a refitted learngene, for
    /// which it is the default.
    Refit,
}

impl ProjectionPolicy {
    /// Factor of a head's columns.
    pub(crate) fn scale(self, cluster_size: usize, copies: usize) -> f32 {
        match self {
            Self::Origin | Self::Centroid => 1.0,
            Self::Rescaled => ((cluster_size as f64).sqrt() / copies as f64) as f32,
            Self::Refit => (1.0 / copies as f64) as f32,
        }
    }
}

named!(ProjectionPolicy, "projection": Origin = "origin", Centroid = "centroid", Rescaled = "rescaled", Refit = "refit");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_weighed_by_cluster_and_copies() {
        assert_eq!(ProjectionPolicy::Origin.scale(4, 8), 1.0);
        assert_eq!(ProjectionPolicy::Centroid.scale(4, 8), 1.0);
        assert_eq!(ProjectionPolicy::Rescaled.scale(4, 8), 0.25);
        assert_eq!(ProjectionPolicy::Refit.scale(4, 8), 0.125);
    }
}
