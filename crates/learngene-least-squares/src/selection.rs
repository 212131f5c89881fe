//! Orthogonal forward selection: groups of features in the order in which they explain the targets.
//!
//! With the covariance `G` of the features and their cross-covariance `C` with the targets, the next
//! group is the one that explains most of what is left, `tr(C_j^T G_jj^-1 C_j)`; then all others are
//! made orthogonal to it. The order is a pivoted Cholesky factorisation: `G` itself is never updated,
//! a new column of the factor is `G_p - L L_p^T`, and `C` and the groups' own blocks of `G` are
//! deflated by it. With many groups several are taken at a time, so that all work is matrix products.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis, linalg::general_mat_mul, s};
use rayon::prelude::*;

use crate::{Cholesky, Moments, NotFinite, product::product};

/// Most groups that are taken at a time.
const BLOCK: usize = 16;

/// With fewer groups than this for each of a block, one is taken at a time.
const GROUPS_PER_BLOCK: usize = 64;

/// Added to every variance, as a part of their mean: keeps factors of features without full rank.
const JITTER: f64 = 1e-9;

/// A group whose variance fell to this part of what it was is a combination of those before it.
const DEPENDENT: f64 = 1e-6;

/// Rows that one thread works on.
const ROWS: usize = 128;

/// Groups of features in order, the most useful first.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// The groups, in the order in which they were taken.
    pub order: Vec<usize>,
    /// Sum over targets of the variance that is left after none, one, two, ... of them.
    pub left: Vec<f64>,
}

impl Moments {
    /// The first `count` groups of `width` neighbouring features each, by orthogonal forward
    /// selection. A group that is a combination of earlier ones comes after all that are not.
    ///
    /// # Errors
    /// Moments that are not finite.
    ///
    /// # Panics
    /// Panics where features are no whole groups, or fewer than `count` of them.
    pub fn forward_select(&self, width: usize, count: usize) -> Result<Selection, NotFinite> {
        Ok(self.selection(self.take(self.cross.clone(), width, count)?))
    }

    /// The order of [`Moments::forward_select`] for these targets times a matrix: `[targets, others]`.
    ///
    /// # Errors
    /// Moments that are not finite.
    ///
    /// # Panics
    /// As [`Moments::forward_select`].
    pub fn order_for(
        &self,
        matrix: &Array2<f64>,
        width: usize,
        count: usize,
    ) -> Result<Vec<usize>, NotFinite> {
        let taken = self.take(product(self.cross.view(), matrix), width, count)?;
        Ok(taken.into_iter().map(|(group, _)| group).collect())
    }

    /// Groups in their order, and what each explains after those before it.
    fn take(
        &self,
        cross: Array2<f64>,
        width: usize,
        count: usize,
    ) -> Result<Vec<(usize, f64)>, NotFinite> {
        let groups = self.covariance.nrows() / width;
        let block = (groups / GROUPS_PER_BLOCK).clamp(1, BLOCK);
        self.rest(cross, width, count).select(count, block).ok_or(NotFinite)
    }

    /// What groups of `width` features leave that are taken in a given order.
    ///
    /// # Errors
    /// Moments that are not finite.
    pub fn select_in_order(&self, width: usize, order: &[usize]) -> Result<Selection, NotFinite> {
        let mut rest = self.rest(self.cross.clone(), width, order.len());
        let taken = order.iter().map(|group| rest.deflate(&[*group]));
        let taken = taken.collect::<Option<Vec<_>>>().ok_or(NotFinite)?;
        Ok(self.selection(taken.concat()))
    }

    fn rest(&self, cross: Array2<f64>, width: usize, count: usize) -> Residual<'_> {
        let mean = self.covariance.diag().mean().filter(|mean| *mean > 0.0).unwrap_or(1.0);
        Residual::new(self.covariance.view(), cross, width, mean, count)
    }

    fn selection(&self, taken: Vec<(usize, f64)>) -> Selection {
        let mut left = vec![self.target_variances.sum()];
        for (_, explained) in &taken {
            left.push((left[left.len() - 1] - explained).max(0.0));
        }
        Selection { order: taken.into_iter().map(|(group, _)| group).collect(), left }
    }
}

/// What the groups taken so far leave of all others.
struct Residual<'a> {
    width: usize,
    covariance: ArrayView2<'a, f64>,
    /// Of a feature, on average.
    variance: f64,
    /// Covariance with the targets, orthogonal to the groups taken: `[features, targets]`.
    cross: Array2<f64>,
    groups: Vec<Group>,
    /// Columns of the factor, transposed; the first `taken` rows of `[most, features]`.
    factor: Array2<f64>,
    /// Features of the groups taken.
    taken: usize,
}

/// A group of features.
struct Group {
    is_taken: bool,
    /// Sum of its variances.
    variance: f64,
    /// Its covariance, orthogonal to the groups taken: `[width, width]`.
    rest: Array2<f64>,
}

impl<'a> Residual<'a> {
    /// Of no group taken; at most `most` will be.
    fn new(
        covariance: ArrayView2<'a, f64>,
        cross: Array2<f64>,
        width: usize,
        variance: f64,
        most: usize,
    ) -> Self {
        let features = covariance.nrows();
        assert_eq!(features % width, 0, "whole groups of features");
        assert!(most * width <= features, "{most} groups of {}", features / width);
        let group = |group: usize| {
            let of = group * width..(group + 1) * width;
            let rest = covariance.slice(s![of.clone(), of]).to_owned();
            Group { is_taken: false, variance: rest.diag().sum(), rest }
        };
        Self {
            width,
            covariance,
            variance,
            cross,
            groups: (0..features / width).map(group).collect(),
            factor: Array2::zeros((most * width, features)),
            taken: 0,
        }
    }

    /// Takes `count` groups, about `block` at a time, and says what each explains after those before
    /// it; `None` where a number is not finite.
    fn select(mut self, count: usize, block: usize) -> Option<Vec<(usize, f64)>> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            let ranked = self.ranked()?;
            let block = block.min(count - taken.len());
            let chosen = match block {
                1 => vec![ranked[0].0],
                _ => self.choose(&ranked, block)?,
            };
            taken.extend(self.deflate(&chosen)?);
        }
        Some(taken)
    }

    /// Groups that were not taken by what each explains alone, the most first.
    fn ranked(&self) -> Option<Vec<(usize, f64)>> {
        let open = self.groups.par_iter().enumerate().filter(|(_, group)| !group.is_taken);
        let gains = open.map(|(index, group)| {
            if group.rest.diag().sum() <= DEPENDENT * group.variance {
                return Some((index, 0.0));
            }
            let mut cross = self.cross.slice(s![self.features(index), ..]).to_owned();
            self.root(group.rest.clone())?.forward(&mut cross);
            let gain = sum_of_squares(cross.view());
            gain.is_finite().then_some((index, gain))
        });
        let mut ranked = gains.collect::<Option<Vec<_>>>()?;
        ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        Some(ranked)
    }

    /// At most so many of the first groups in rank: each the best after those before it, while it
    /// explains at least half of what a group that was not looked at might.
    fn choose(&self, ranked: &[(usize, f64)], count: usize) -> Option<Vec<usize>> {
        let (candidates, beyond) = ranked.split_at((2 * count).min(ranked.len()));
        let least = 0.5 * beyond.first().map_or(0.0, |(_, gain)| *gain);
        let candidates: Vec<usize> = candidates.iter().map(|(group, _)| *group).collect();
        let features = self.features_of(&candidates);
        let covariance = self.covariance_of(&features);
        let cross = self.cross.select(Axis(0), &features);
        let among = Residual::new(covariance.view(), cross, self.width, self.variance, count);
        let best = among.select(count, 1)?.into_iter();
        let good = best.enumerate().take_while(|(place, (_, gain))| *place == 0 || *gain >= least);
        Some(good.map(|(_, (index, _))| candidates[index]).collect())
    }

    /// Makes all groups orthogonal to these, and gives what each of them explains after those before.
    fn deflate(&mut self, chosen: &[usize]) -> Option<Vec<(usize, f64)>> {
        let features = self.features_of(chosen);
        let mut columns = self.columns(&features); // [features chosen, features]
        let root = self.root(columns.select(Axis(1), &features))?;
        let mut cross = self.cross.select(Axis(0), &features); // [features chosen, targets]
        root.forward(&mut cross);
        root.forward(&mut columns);

        chosen.iter().for_each(|group| self.groups[*group].is_taken = true);
        let width = self.width;
        let open = self.groups.par_iter_mut().enumerate().filter(|(_, group)| !group.is_taken);
        open.for_each(|(index, group)| {
            let of = columns.slice(s![.., index * width..(index + 1) * width]);
            general_mat_mul(-1.0, &of.t(), &of, 1.0, &mut group.rest);
        });
        let rows: Vec<_> = self.cross.axis_chunks_iter_mut(Axis(0), ROWS).enumerate().collect();
        rows.into_par_iter().for_each(|(index, mut rows)| {
            let first = index * ROWS;
            let of = columns.slice(s![.., first..first + rows.nrows()]);
            general_mat_mul(-1.0, &of.t(), &cross, 1.0, &mut rows);
        });
        let end = self.taken + features.len();
        self.factor.slice_mut(s![self.taken..end, ..]).assign(&columns);
        self.taken = end;
        let explained = cross.axis_chunks_iter(Axis(0), width).map(sum_of_squares);
        Some(chosen.iter().copied().zip(explained).collect())
    }

    /// Covariance of some features with each other, orthogonal to the groups taken.
    fn covariance_of(&self, some: &[usize]) -> Array2<f64> {
        let mut covariance = self.covariance.select(Axis(0), some).select(Axis(1), some);
        let left = self.factor.slice(s![..self.taken, ..]).select(Axis(1), some); // [taken, some]
        general_mat_mul(-1.0, &left.t(), &left, 1.0, &mut covariance);
        covariance
    }

    /// Covariance of some features with all, orthogonal to the groups taken: `[some, features]`.
    fn columns(&self, some: &[usize]) -> Array2<f64> {
        let mut columns = self.covariance.select(Axis(0), some);
        let factor = self.factor.slice(s![..self.taken, ..]);
        let left = factor.select(Axis(1), some); // [taken, some]
        let parts: Vec<_> = columns.axis_chunks_iter_mut(Axis(1), ROWS).enumerate().collect();
        parts.into_par_iter().for_each(|(index, mut part)| {
            let first = index * ROWS;
            let right = factor.slice(s![.., first..first + part.ncols()]);
            general_mat_mul(-1.0, &left.t(), &right, 1.0, &mut part);
        });
        columns
    }

    /// The factor of a covariance that may lack full rank.
    fn root(&self, mut covariance: Array2<f64>) -> Option<Cholesky> {
        covariance.diag_mut().mapv_inplace(|variance| variance.max(0.0));
        Cholesky::of_penalised(&covariance, JITTER * self.variance, self.variance)
    }

    fn features(&self, group: usize) -> Range<usize> {
        group * self.width..(group + 1) * self.width
    }

    fn features_of(&self, groups: &[usize]) -> Vec<usize> {
        groups.iter().flat_map(|group| self.features(*group)).collect()
    }
}

fn sum_of_squares(values: ArrayView2<'_, f64>) -> f64 {
    values.iter().map(|value| value * value).sum()
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;
    use proptest::prelude::*;

    use super::*;

    /// Moments of features and targets of mean 0, given row by row.
    fn moments(features: &Array2<f64>, targets: &Array2<f64>) -> Moments {
        let rows = features.nrows() as f64;
        Moments {
            feature_means: Array1::zeros(features.ncols()),
            target_means: Array1::zeros(targets.ncols()),
            covariance: features.t().dot(features) / rows,
            cross: features.t().dot(targets) / rows,
            target_variances: (targets * targets).sum_axis(Axis(0)) / rows,
        }
    }

    /// What least squares on these features leave of the targets' variance.
    fn left(moments: &Moments, features: &[usize]) -> f64 {
        let some = moments.of(features);
        let mut covariance = some.covariance.clone();
        covariance.diag_mut().mapv_inplace(|variance| variance + 1e-12);
        let weight = Cholesky::of(covariance).expect("full rank").solve(some.cross.clone());
        moments.target_variances.sum() - (&weight * &some.cross).sum()
    }

    /// The definition: of all groups the one with which least is left.
    fn brute_force(moments: &Moments, width: usize, count: usize) -> Vec<usize> {
        let features = |groups: &[usize]| -> Vec<usize> {
            groups.iter().flat_map(|group| group * width..(group + 1) * width).collect()
        };
        let mut order: Vec<usize> = Vec::new();
        for _ in 0..count {
            let open = (0..moments.covariance.nrows() / width).filter(|g| !order.contains(g));
            let with = |group: usize| left(moments, &features(&[&order[..], &[group]].concat()));
            let best = open.min_by(|a, b| with(*a).total_cmp(&with(*b)));
            order.push(best.expect("a group is left"));
        }
        order
    }

    /// Rows of independent numbers.
    fn rows(count: usize, features: usize) -> impl Strategy<Value = Array2<f64>> {
        let values = prop::collection::vec(-1.0..1.0_f64, count * features);
        values.prop_map(move |values| {
            Array2::from_shape_vec((count, features), values).expect("as many values")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_order_is_that_of_brute_force(
            features in rows(40, 8), targets in rows(40, 3), wide in any::<bool>(),
        ) {
            let width = if wide { 2 } else { 1 };
            let (moments, count) = (moments(&features, &targets), 8 / width);
            let selection = moments.forward_select(width, count).expect("finite");
            prop_assert_eq!(&selection.order, &brute_force(&moments, width, count));
            for (taken, of) in selection.left.iter().enumerate().skip(1) {
                let groups = &selection.order[..taken];
                let features: Vec<usize> =
                    groups.iter().flat_map(|group| group * width..(group + 1) * width).collect();
                prop_assert!((of - left(&moments, &features)).abs() < 1e-6, "{} groups", taken);
            }
        }

        /// Also where several are taken at a time.
        #[test]
        fn orders_are_nested_and_the_rest_never_grows(
            features in rows(300, 200), targets in rows(300, 2), fewer in 1_usize..200,
        ) {
            let moments = moments(&features, &targets);
            let all = moments.forward_select(1, 200).expect("finite");
            prop_assert!(all.left.is_sorted_by(|before, after| before >= after));
            let mut sorted = all.order.clone();
            sorted.sort_unstable();
            prop_assert!(sorted.into_iter().eq(0..200));
            // Blocks may end elsewhere, so that only what whole blocks take is the same.
            let some = moments.forward_select(1, fewer).expect("finite");
            let whole = fewer / 3 * 3;
            prop_assert_eq!(&some.order[..whole], &all.order[..whole]);
        }

        #[test]
        fn equal_features_are_never_both_among_the_first(
            features in rows(400, 130), targets in rows(400, 4),
        ) {
            // The second half are the first again, in part with the other sign.
            let mut twins = Array2::zeros((400, 260));
            twins.slice_mut(s![.., ..130]).assign(&features);
            twins.slice_mut(s![.., 130..]).assign(&features);
            twins.slice_mut(s![.., 200..]).mapv_inplace(|value| -2.0 * value);
            let selection = moments(&twins, &targets).forward_select(1, 130).expect("finite");
            let mut distinct: Vec<usize> = selection.order.iter().map(|of| of % 130).collect();
            distinct.sort_unstable();
            prop_assert!(distinct.into_iter().eq(0..130));
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let mut moments = moments(&Array2::eye(3), &Array2::eye(3));
        moments.cross[[1, 1]] = f64::NAN;
        assert_eq!(moments.forward_select(1, 2), Err(NotFinite));
    }

    #[test]
    fn features_that_never_vary_come_last() {
        let mut features = Array2::<f64>::eye(4);
        features.column_mut(0).fill(0.0);
        let selection = moments(&features, &Array2::eye(4)).forward_select(1, 4).expect("finite");
        assert_eq!(selection.order, [1, 2, 3, 0]);
    }
}
