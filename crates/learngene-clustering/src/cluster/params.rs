use serde::{Deserialize, Serialize};

use crate::error::ClusteringError;

/// How heads are clustered and which one stands for a cluster: written unchecked, used checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterParams {
    /// What makes a cluster.
    pub algorithm: Algorithm,
    /// What stands for it.
    pub representative: Representative,
}

/// What makes a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Algorithm {
    /// Density clustering: heads in dense neighbourhoods, chained.
    Dbscan {
        /// Radius of a neighbourhood in pixels, per layer; a single entry counts for every layer. A
        /// head exactly this far away belongs to the neighbourhood.
        eps: Vec<f64>,
        /// Least number of heads in the neighbourhood of a core head, itself counted.
        min_points: usize,
        /// What becomes of heads outside every cluster, possible only for `min_points > 1`.
        noise: NoisePolicy,
    },
    /// A given number of clusters, for comparison.
    #[serde(rename = "kmeans")]
    KMeans {
        /// Clusters of each layer; a single entry counts for every layer.
        k: Vec<usize>,
        /// Seed of the initial centroids, the same for every layer.
        seed: u64,
        /// The implementation.
        #[serde(default)]
        library: KMeansLibrary,
    },
}

/// What becomes of heads that belong to no cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoisePolicy {
    /// Each becomes a cluster of its own.
    #[default]
    Singleton,
    /// Each joins the cluster of the nearest core head, however far away.
    Nearest,
    /// They are left out of the learngene.
    Drop,
}

/// What stands for a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Representative {
    /// The member nearest the cluster's mean density, ties within 1e-6 px to the lowest index.
    #[default]
    Nearest,
    /// The mean of the members' parameters (the paper's Table 7).
    Mean,
}

/// Implementation of k-means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KMeansLibrary {
    /// linfa-clustering.
    #[default]
    Linfa,
    /// The crate `kmeans`: in builds with the feature of that name, by a nightly compiler.
    Kmeans,
}

/// Parameters that passed [`ClusterParams::check`].
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedClusterParams(ClusterParams);

impl CheckedClusterParams {
    /// The parameters.
    pub fn get(&self) -> &ClusterParams {
        &self.0
    }

    /// Checks all that can be known of a model's shape, before its distances are: `num_heads` of
    /// each layer.
    ///
    /// # Errors
    /// A list of k or of eps of the wrong length; a k larger than the number of heads in its layer.
    pub fn check_heads(&self, num_heads: &[usize]) -> Result<(), ClusteringError> {
        let depth = num_heads.len();
        let k = match &self.0.algorithm {
            Algorithm::Dbscan { eps, .. } => return check_length("eps", eps, depth),
            Algorithm::KMeans { k, .. } => k,
        };
        check_length("k", k, depth)?;
        let mut layers = num_heads.iter().zip(for_each_layer(k, depth)).enumerate();
        match layers.find(|(_, (heads, k))| k > *heads) {
            Some((layer, (&heads, got))) => {
                Err(ClusteringError::TooManyClusters { layer, heads, distinct: heads, got })
            }
            None => Ok(()),
        }
    }
}

impl ClusterParams {
    /// The method's defaults for one radius in pixels: `min_points = 1`, the nearest member stands
    /// for its cluster.
    pub fn dbscan(eps: f64) -> Self {
        Self {
            algorithm: Algorithm::Dbscan {
                eps: vec![eps],
                min_points: 1,
                noise: NoisePolicy::default(),
            },
            representative: Representative::default(),
        }
    }

    /// Checks all that can be known without the distances.
    ///
    /// # Errors
    /// An empty list of eps or one that is not positive and finite, `min_points = 0`, an empty list
    /// of k or a zero in it, a library that this build does not contain.
    pub fn check(self) -> Result<CheckedClusterParams, ClusteringError> {
        match &self.algorithm {
            Algorithm::Dbscan { eps, .. } if eps.is_empty() => {
                Err(ClusteringError::EmptyList { parameter: "eps" })
            }
            Algorithm::Dbscan { min_points: 0, .. } => Err(ClusteringError::MinPoints),
            Algorithm::KMeans { k, .. } if k.is_empty() => {
                Err(ClusteringError::EmptyList { parameter: "k" })
            }
            Algorithm::KMeans { library: KMeansLibrary::Kmeans, .. }
                if !cfg!(feature = "kmeans") =>
            {
                Err(ClusteringError::KMeansLibraryAbsent)
            }
            Algorithm::KMeans { k, .. } => match k.iter().position(|&k| k == 0) {
                Some(position) => Err(ClusteringError::ZeroClusters { position }),
                None => Ok(CheckedClusterParams(self)),
            },
            Algorithm::Dbscan { eps, .. } => {
                match eps.iter().find(|eps| !(eps.is_finite() && **eps > 0.0)) {
                    Some(&got) => Err(ClusteringError::Eps { got }),
                    None => Ok(CheckedClusterParams(self)),
                }
            }
        }
    }
}

/// The paper's radius of 10 px for an attended side of 224 px, in proportion for other sides.
///
/// The attended side, in pixels, is the image's for ViT and the window's for Swin.
pub fn default_eps(attended_side: usize) -> f64 {
    10.0 * attended_side as f64 / 224.0
}

/// Refuses a list that has neither one entry for all layers nor one for each.
pub(crate) fn check_length<T>(
    parameter: &'static str,
    list: &[T],
    depth: usize,
) -> Result<(), ClusteringError> {
    match list.len() {
        got if got == 1 || got == depth => Ok(()),
        got => Err(ClusteringError::ListLength { parameter, got, want: depth }),
    }
}

/// A list that has one entry for each layer, where one entry may stand for all.
pub(crate) fn for_each_layer<T: Clone>(list: &[T], depth: usize) -> Vec<T> {
    match list {
        [entry] => vec![entry.clone(); depth],
        _ => list.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dbscan(eps: f64, min_points: usize) -> ClusterParams {
        ClusterParams {
            algorithm: Algorithm::Dbscan {
                eps: vec![eps],
                min_points,
                noise: NoisePolicy::Singleton,
            },
            representative: Representative::Nearest,
        }
    }

    fn kmeans(k: &[usize], library: KMeansLibrary) -> ClusterParams {
        ClusterParams {
            algorithm: Algorithm::KMeans { k: k.to_vec(), seed: 0, library },
            representative: Representative::Nearest,
        }
    }

    fn check_refused(params: ClusterParams, message: &str) {
        let error = params.check().expect_err("the parameters are refused");
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn eps_must_be_a_positive_finite_distance() {
        for (eps, got) in [
            (-1.0, "-1"),
            (0.0, "0"),
            (-0.0, "-0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            check_refused(
                dbscan(eps, 1),
                &format!("eps must be a positive, finite distance in pixels, got {got}"),
            );
        }
        assert!(dbscan(f64::MIN_POSITIVE, 1).check().is_ok());
    }

    #[test]
    fn every_eps_of_a_list_is_looked_at() {
        let with_eps = |eps: &[f64]| {
            let mut params = ClusterParams::dbscan(1.0);
            if let Algorithm::Dbscan { eps: list, .. } = &mut params.algorithm {
                *list = eps.to_vec();
            }
            params
        };
        check_refused(
            with_eps(&[]),
            "eps needs one entry for all layers or one per layer, got an empty list",
        );
        check_refused(
            with_eps(&[1.0, 2.5, -3.0]),
            "eps must be a positive, finite distance in pixels, got -3",
        );
        assert!(with_eps(&[1.0, 2.5, 3.0]).check().is_ok());
    }

    #[test]
    fn min_points_counts_the_head_itself() {
        check_refused(
            dbscan(10.0, 0),
            "min_points must be at least 1, because a head counts itself, got 0",
        );
    }

    #[test]
    fn parameters_must_fit_the_models_shape() {
        let message = |params: ClusterParams| {
            let params = params.check().expect("possible parameters");
            params.check_heads(&[4, 3]).expect_err("another shape").to_string()
        };
        let library = KMeansLibrary::Linfa;
        let too_many = "layer 1 has 3 heads, too few for k = 4";
        assert_eq!(message(kmeans(&[4], library)), too_many);
        assert_eq!(message(kmeans(&[1, 4], library)), too_many);
        let wanted = "the distances have 2 layers, but the list of k has 3 entries";
        assert_eq!(message(kmeans(&[1, 1, 1], library)), wanted);
        for params in [kmeans(&[3], library), kmeans(&[4, 3], library), dbscan(1.0, 1)] {
            assert!(params.check().expect("possible parameters").check_heads(&[4, 3]).is_ok());
        }
    }

    #[test]
    fn k_must_be_given_and_positive() {
        check_refused(
            kmeans(&[], KMeansLibrary::Linfa),
            "k needs one entry for all layers or one per layer, got an empty list",
        );
        check_refused(
            kmeans(&[3, 0], KMeansLibrary::Linfa),
            "k-means needs a k of at least 1, got 0 at position 1 of the list",
        );
    }

    #[cfg(not(feature = "kmeans"))]
    #[test]
    fn a_library_that_was_not_built_in_is_refused() {
        check_refused(
            kmeans(&[3], KMeansLibrary::Kmeans),
            "k-means by the crate `kmeans` needs a build with the feature `kmeans` and a nightly \
             compiler",
        );
    }

    #[test]
    fn default_eps_grows_with_the_attended_side() {
        assert_eq!(default_eps(224), 10.0);
        assert_eq!(default_eps(448), 20.0);
        assert_eq!(default_eps(56), 2.5);
    }

    #[test]
    fn parameters_keep_their_names_in_files() {
        let text = serde_json::to_string(&ClusterParams::dbscan(10.0)).expect("plain data");
        assert_eq!(
            text,
            r#"{"algorithm":{"dbscan":{"eps":[10.0],"min_points":1,"noise":"singleton"}},"representative":"nearest"}"#
        );
        let text = r#"{"algorithm":{"kmeans":{"k":[3],"seed":7}},"representative":"mean"}"#;
        let read: ClusterParams = serde_json::from_str(text).expect("a library has a default");
        assert_eq!(
            read.algorithm,
            Algorithm::KMeans { k: vec![3], seed: 7, library: KMeansLibrary::Linfa }
        );
    }
}
