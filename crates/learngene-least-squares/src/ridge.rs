//! Ridge regression from moments, and how well a linear map does.

use ndarray::{Array1, Array2};

use crate::{Cholesky, LinearMap, Moments, NestedFit, NotFinite, product::product};

/// A relative error below this is rounding of sums in `f32`.
pub const NEGLIGIBLE: f64 = 1e-6;

/// How far the outputs of a map are from the targets: the squared difference, relative to the
/// variance of the targets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Residual {
    /// Over all targets together, which a few of very large variance decide.
    pub relative: f64,
    /// Median over targets, each relative to its own variance.
    pub median_channel: f64,
    /// Of the worst target, relative to its own variance.
    pub worst_channel: f64,
}

/// How far outputs are from the targets, before and after a fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// By the prior.
    pub before: Residual,
    /// By the fitted map.
    pub after: Residual,
}

impl Moments {
    /// The fitted map as `round` leaves it, or the prior so where that does as well, what `round` gives
    /// beside it, and how well it went.
    ///
    /// # Errors
    /// Those of [`Moments::fit`].
    pub fn best<Beside>(
        &self,
        prior: LinearMap,
        ridge: f64,
        round: impl Fn(LinearMap) -> (LinearMap, Beside),
    ) -> Result<(NestedFit, Beside, Fit), NotFinite> {
        let (mut nested, mut fit) = self.unchanged(prior, ridge)?;
        let fitted = self.solve(&nested.factor, &nested.map.weight);
        let (prior, mut beside) = round(nested.map);
        fit.after = self.residual(&prior);
        nested.map = prior;
        if fit.before.relative > NEGLIGIBLE {
            let (fitted, of_fitted) = round(fitted);
            let after = self.residual(&fitted);
            if after.relative < fit.after.relative {
                (nested.map, beside, fit.after) = (fitted, of_fitted, after);
            }
        }
        Ok((nested, beside, fit))
    }

    /// The fitted map from features to as many targets, around the identity, which stays where it does as
    /// well; to another number of targets around nothing.
    ///
    /// # Errors
    /// Those of [`Moments::fit`].
    pub fn near_identity(&self, ridge: f64) -> Result<LinearMap, NotFinite> {
        let (features, targets) = self.cross.dim();
        let weight = match features == targets {
            true => Array2::eye(features),
            false => Array2::zeros((features, targets)),
        };
        let prior = LinearMap { weight, bias: Array1::zeros(targets) };
        let (nested, (), _) = self.best(prior, ridge, |map| (map, ()))?;
        Ok(nested.map)
    }

    /// The prior as it is for all features, to be fitted for fewer, and how well it does.
    ///
    /// # Errors
    /// Those of [`Moments::fit`].
    pub fn unchanged(&self, prior: LinearMap, ridge: f64) -> Result<(NestedFit, Fit), NotFinite> {
        let before = self.residual(&prior);
        let factor = self.penalised_factor(ridge)?;
        let nested = NestedFit { factor, feature_means: self.feature_means.clone(), map: prior };
        Ok((nested, Fit { before, after: before }))
    }

    /// The map `W` from features to targets with the least
    /// `mean |target - feature W - bias|^2 + ridge * variance * |W - prior|^2`, where `variance` is the
    /// features' mean variance: what a feature says nothing of stays as in the prior. The bias is
    /// not penalised.
    ///
    /// Where features have no full rank, a small penalty makes the map unique.
    ///
    /// # Errors
    /// Moments that are not finite.
    pub fn fit(&self, prior: &Array2<f64>, ridge: f64) -> Result<LinearMap, NotFinite> {
        Ok(self.nested_fit(prior, ridge)?.map)
    }

    /// [`Moments::fit`], and with it the fits of any number of first features.
    ///
    /// # Errors
    /// Moments that are not finite.
    pub fn nested_fit(&self, prior: &Array2<f64>, ridge: f64) -> Result<NestedFit, NotFinite> {
        let factor = self.penalised_factor(ridge)?;
        let map = self.solve(&factor, prior);
        Ok(NestedFit { factor, feature_means: self.feature_means.clone(), map })
    }

    /// The fit around a prior, by the factor of the penalised covariance.
    fn solve(&self, factor: &Cholesky, prior: &Array2<f64>) -> LinearMap {
        // Covariance of the features with what the prior leaves of the targets.
        let rest = &self.cross - &product(self.covariance.view(), prior);
        let weight = prior + &factor.solve(rest);
        let bias = &self.target_means - &self.feature_means.dot(&weight);
        LinearMap { weight, bias }
    }

    fn penalised_factor(&self, ridge: f64) -> Result<Cholesky, NotFinite> {
        let variance = self.covariance.diag().mean().unwrap_or(0.0);
        let factor = match variance {
            // Nothing is known of the features, so a prior stays.
            0.0 => Cholesky::of(Array2::eye(self.covariance.nrows())),
            _ => Cholesky::of_penalised(&self.covariance, ridge * variance, variance),
        };
        factor.ok_or(NotFinite)
    }

    /// How far the outputs of a map are from the targets.
    pub fn residual(&self, map: &LinearMap) -> Residual {
        let errors = self.errors(map);
        let of_channels = errors.iter().zip(&self.target_variances);
        let mut channels: Vec<f64> = of_channels
            .filter(|(_, variance)| **variance > 0.0)
            .map(|(error, variance)| error / variance)
            .collect();
        channels.sort_by(f64::total_cmp);
        let total = self.target_variances.sum();
        Residual {
            relative: if total > 0.0 { errors.iter().sum::<f64>() / total } else { 0.0 },
            median_channel: median(&channels),
            worst_channel: channels.last().copied().unwrap_or(0.0),
        }
    }

    /// Mean squared difference of a map's outputs from the targets: `[targets]`.
    pub fn errors(&self, map: &LinearMap) -> Vec<f64> {
        let spread = product(self.covariance.view(), &map.weight);
        let offsets = &self.target_means - &self.feature_means.dot(&map.weight) - &map.bias;
        let of_target = |target: usize| {
            let weight = map.weight.column(target);
            let crossed = weight.dot(&self.cross.column(target));
            let explained = 2.0 * crossed - weight.dot(&spread.column(target));
            // Rounding can leave less than nothing of an exact fit.
            (self.target_variances[target] - explained).max(0.0) + offsets[target].powi(2)
        };
        (0..offsets.len()).map(of_target).collect()
    }
}

/// Of sorted values, 0 of none.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}
