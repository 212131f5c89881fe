//! How heads are clustered.

use learngene_format::{ClusterAlgorithm, Distances, NoisePolicy, RepresentativePolicy};
use learngene_tensors::{Error, Result};

/// How heads are clustered and which one stands for a cluster: written unchecked, used checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterParams {
    /// What makes a cluster. Of its lists, a single entry counts for every layer.
    pub algorithm: ClusterAlgorithm,
    /// What stands for it.
    pub representative: RepresentativePolicy,
}

/// Parameters that passed [`ClusterParams::check`].
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedClusterParams(ClusterParams);

impl ClusterParams {
    /// The method's defaults for given radii in pixels: `min_points = 1`, the nearest member stands for
    /// its cluster.
    pub fn dbscan(eps: Vec<f64>) -> Self {
        let noise = NoisePolicy::default();
        let algorithm = ClusterAlgorithm::Dbscan { eps, min_points: 1, noise };
        Self { algorithm, representative: RepresentativePolicy::default() }
    }

    /// So many clusters of each layer; the nearest member stands for its cluster.
    pub fn kmeans(k: Vec<usize>, seed: u64) -> Self {
        let algorithm = ClusterAlgorithm::Kmeans { k, seed };
        Self { algorithm, representative: RepresentativePolicy::default() }
    }

    /// Checks all that can be known without the distances.
    ///
    /// # Errors
    /// An empty list of eps or one that is not positive and finite, `min_points = 0`, an empty list of
    /// k or a zero in it.
    pub fn check(self) -> Result<CheckedClusterParams> {
        match &self.algorithm {
            ClusterAlgorithm::Dbscan { eps, min_points, .. } => {
                check_not_empty("eps", eps)?;
                if *min_points == 0 {
                    let expected = "at least 1, because a head counts itself";
                    return Err(Error::invalid("min_points", 0, expected));
                }
                let is_radius = |eps: f64| eps.is_finite() && eps > 0.0;
                check_each("eps", eps, is_radius, "a positive, finite distance in pixels")?;
            }
            ClusterAlgorithm::Kmeans { k, .. } => {
                check_not_empty("k", k)?;
                if k.contains(&0) {
                    return Err(Error::invalid("k", 0, "at least 1"));
                }
            }
            ClusterAlgorithm::Order { .. } => {
                let expected = "one that finds clusters: dbscan or kmeans";
                return Err(Error::invalid("algorithm", "an order of the heads", expected));
            }
        }
        Ok(CheckedClusterParams(self))
    }
}

impl CheckedClusterParams {
    /// The parameters.
    pub fn get(&self) -> &ClusterParams {
        &self.0
    }

    /// Checks all that can be known of a model's shape, before its distances are: `num_heads` of each
    /// layer.
    ///
    /// # Errors
    /// A list of k or of eps of the wrong length; a k larger than the number of heads in its layer.
    pub fn check_heads(&self, num_heads: &[usize]) -> Result<()> {
        let depth = num_heads.len();
        let k = match &self.0.algorithm {
            ClusterAlgorithm::Dbscan { eps, .. } => return check_length("eps", eps, depth),
            ClusterAlgorithm::Kmeans { k, .. } => k,
            ClusterAlgorithm::Order { .. } => return Ok(()),
        };
        check_length("k", k, depth)?;
        let mut layers = num_heads.iter().zip(for_each_layer(k, depth)).enumerate();
        match layers.find(|(_, (heads, k))| k > *heads) {
            None => Ok(()),
            Some((layer, (heads, k))) => {
                let expected = format!("at most its {heads} heads");
                Err(Error::invalid(format!("k of layer {layer}"), k, expected))
            }
        }
    }

    /// The algorithm with an entry for each of so many layers.
    pub(crate) fn for_layers(&self, depth: usize) -> ClusterAlgorithm {
        let mut algorithm = self.0.algorithm.clone();
        match &mut algorithm {
            ClusterAlgorithm::Dbscan { eps, .. } => *eps = for_each_layer(eps, depth),
            ClusterAlgorithm::Kmeans { k, .. } => *k = for_each_layer(k, depth),
            ClusterAlgorithm::Order { .. } => {}
        }
        algorithm
    }
}

/// The paper's radius of each layer, in pixels: 10 px for an attended side of 224 px, in proportion for
/// other sides.
pub fn default_eps(distances: &Distances) -> Vec<f64> {
    distances.attended_side.iter().map(|side| 10.0 * *side as f64 / 224.0).collect()
}

fn check_not_empty<T>(parameter: &str, list: &[T]) -> Result<()> {
    if !list.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(parameter, "an empty list", "one entry, or one for each layer"))
}

/// Refuses a list in which one number is not as it should be.
fn check_each(
    parameter: &str,
    list: &[f64],
    is_good: impl Fn(f64) -> bool,
    expected: &str,
) -> Result<()> {
    match list.iter().find(|value| !is_good(**value)) {
        None => Ok(()),
        Some(value) => Err(Error::invalid(parameter, value, expected)),
    }
}

/// Checks differences in pixels, for FFNs.
pub(crate) fn check_differences(parameter: &str, list: &[f64]) -> Result<()> {
    check_not_empty(parameter, list)?;
    let is_difference = |eps: f64| eps.is_finite() && eps >= 0.0;
    check_each(parameter, list, is_difference, "a finite distance of 0 or more, in pixels")
}

/// Refuses a list that has neither one entry for all layers nor one for each.
pub(crate) fn check_length<T>(parameter: &str, list: &[T], depth: usize) -> Result<()> {
    let found = list.len();
    if found == 1 || found == depth {
        return Ok(());
    }
    let expected = format!("1, or one for each of {depth} layers");
    Err(Error::invalid(parameter, format!("{found} entries"), expected))
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
    use crate::test_distances::distances_of;

    fn check_refused(params: ClusterParams, message: &str) {
        assert_eq!(params.check().expect_err(message).to_string(), message);
    }

    #[test]
    fn impossible_parameters_are_refused() {
        for eps in [-1.0, 0.0, f64::NAN, f64::INFINITY] {
            let message =
                format!("eps: found {eps}, expected a positive, finite distance in pixels");
            check_refused(ClusterParams::dbscan(vec![1.0, eps]), &message);
        }
        let message = "eps: found an empty list, expected one entry, or one for each layer";
        check_refused(ClusterParams::dbscan(vec![]), message);
        let mut params = ClusterParams::dbscan(vec![f64::MIN_POSITIVE]);
        if let ClusterAlgorithm::Dbscan { min_points, .. } = &mut params.algorithm {
            *min_points = 0;
        }
        let message = "min_points: found 0, expected at least 1, because a head counts itself";
        check_refused(params, message);
        let message = "k: found an empty list, expected one entry, or one for each layer";
        check_refused(ClusterParams::kmeans(vec![], 0), message);
        check_refused(ClusterParams::kmeans(vec![3, 0], 0), "k: found 0, expected at least 1");
    }

    #[test]
    fn parameters_must_fit_the_models_shape() {
        let checked = |params: ClusterParams| params.check().expect("possible parameters");
        let message =
            |params| checked(params).check_heads(&[4, 3]).expect_err("another shape").to_string();
        let too_many = "k of layer 1: found 4, expected at most its 3 heads";
        assert_eq!(message(ClusterParams::kmeans(vec![4], 0)), too_many);
        let wanted = "k: found 3 entries, expected 1, or one for each of 2 layers";
        assert_eq!(message(ClusterParams::kmeans(vec![1, 1, 1], 0)), wanted);
        let wanted = "eps: found 3 entries, expected 1, or one for each of 2 layers";
        assert_eq!(message(ClusterParams::dbscan(vec![1.0; 3])), wanted);
        checked(ClusterParams::kmeans(vec![4, 3], 0)).check_heads(&[4, 3]).expect("as many");
        checked(ClusterParams::dbscan(vec![1.0])).check_heads(&[4, 3]).expect("one for all");
    }

    #[test]
    fn default_eps_grows_with_the_attended_side() {
        let mut distances = distances_of(vec![vec![1.0]; 3]);
        distances.attended_side = vec![224, 448, 56];
        assert_eq!(default_eps(&distances), [10.0, 20.0, 2.5]);
    }
}
