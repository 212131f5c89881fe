use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{ExpansionError, text::parse_name};

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
    const ALL: [Self; 4] = [Self::Origin, Self::Centroid, Self::Rescaled, Self::Refit];

    /// Factor of a head's columns.
    pub(crate) fn scale(self, cluster_size: usize, copies: usize) -> f32 {
        match self {
            Self::Origin | Self::Centroid => 1.0,
            Self::Rescaled => ((cluster_size as f64).sqrt() / copies as f64) as f32,
            Self::Refit => (1.0 / copies as f64) as f32,
        }
    }
}

impl fmt::Display for ProjectionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Origin => "origin",
            Self::Centroid => "centroid",
            Self::Rescaled => "rescaled",
            Self::Refit => "refit",
        })
    }
}

impl FromStr for ProjectionPolicy {
    type Err = ExpansionError;

    fn from_str(text: &str) -> Result<Self, ExpansionError> {
        parse_name("projection", "origin, centroid, rescaled or refit", text, Self::ALL)
    }
}

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

    #[test]
    fn names_are_read_as_they_are_written() {
        let names = ["origin", "centroid", "rescaled", "refit"];
        assert_eq!(ProjectionPolicy::ALL.map(|policy| policy.to_string()), names);
        for policy in ProjectionPolicy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        let error = "mean".parse::<ProjectionPolicy>().expect_err("no such policy");
        let message = "projection must be origin, centroid, rescaled or refit, got `mean`";
        assert_eq!(error.to_string(), message);
    }
}
