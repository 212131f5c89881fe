//! Ridge fits of the first features alone, for any number of them.

use ndarray::{Array1, s};

use crate::{Cholesky, LinearMap};

/// Ridge fits of the first features alone, for any number of them, from one factor.
///
/// With the penalised covariance `A = L L^T`, the fit of all features solves `A W = R`. The leading
/// block of `L` is the factor of the leading block of `A`, and the first rows of `L^-1 R` are those of
/// fewer features, so the fit of the first `k` solves `L_k^T W_k = (L^T W)_k`.
#[derive(Clone, Debug, PartialEq)]
pub struct NestedFit {
    /// Of the penalised covariance.
    pub factor: Cholesky,
    /// `[features]`
    pub feature_means: Array1<f64>,
    /// The fit of all features.
    pub map: LinearMap,
}

impl NestedFit {
    /// The fit of the first `features` alone.
    ///
    /// # Panics
    /// Panics where there are not so many.
    pub fn of_first(&self, features: usize) -> LinearMap {
        let Self { factor, feature_means: means, map } = self;
        let mut weight = factor.transposed_times(&map.weight, features);
        factor.backward_first(&mut weight);
        let target_means = means.dot(&map.weight) + &map.bias;
        let bias = target_means - means.slice(s![..features]).dot(&weight);
        LinearMap { weight, bias }
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{case, prior};

    #[test]
    fn fewer_features_are_fitted_as_if_alone() {
        let (moments, prior) = (case().sums().moments(), prior());
        let nested = moments.nested_fit(&prior.weight, 0.3).expect("a solution");
        assert_eq!(nested.map, moments.fit(&prior.weight, 0.3).expect("a solution"));
        let variance = moments.covariance.diag().mean().expect("features");
        for features in 1..=prior.weight.nrows() {
            let first = moments.of_first(features);
            // The same penalty, in parts of what these vary.
            let ridge = 0.3 * variance / first.covariance.diag().mean().expect("features");
            let alone = first.fit(&prior.of_first(features).weight, ridge).expect("a solution");
            let got = nested.of_first(features);
            let distance = crate::tests::distance(&got, &alone);
            assert!(distance < 1e-9, "{features} features: {distance}");
        }
    }
}
