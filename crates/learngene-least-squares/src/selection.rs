//! Orthogonal forward selection: groups of features in the order in which they explain the targets.
//!
//! With the covariance `G` of the features and their cross-covariance `C` with the targets, the next
//! group is the one that explains most of what is left, `tr(C_j^T G_jj^-1 C_j)`; then all others are
//! made orthogonal to it. The order is a pivoted Cholesky factorisation: `G` itself is never updated,
//! a new column of the factor is `G_p - L L_p^T`, and `C` and the groups' own blocks of `G` are
//! deflated by it. With many groups several are taken at a time, so that all work is matrix products.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView2, Axis, linalg::general_mat_mul, s};
use rayon::prelude::*;

use crate::{
    Cholesky, Moments, NotFinite,
    product::{add_product, product},
};

/// Most groups that are taken at a time.
const BLOCK: usize = 16;

/// With fewer groups than this for each of a block, one is taken at a time.
const GROUPS_PER_BLOCK: usize = 64;

/// Added to every variance, as a part of the feature's mean square: sums in single precision are wrong by
/// as much, and no factor may divide by what rounding left. The larger ones are for groups that nearly
/// repeat each other, where the smaller one leaves numbers that grow without end.
const NOISE: [f64; 3] = [1e-6, 1e-5, 1e-4];

/// A group whose variance fell to this multiple of the noise is a combination of those before it.
const DEPENDENT: f64 = 10.0;

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
        let select = |noise| self.rest(cross.clone(), width, count, noise).select(count, block);
        NOISE.into_iter().find_map(select).ok_or(NotFinite)
    }

    /// What groups of `width` features leave that are taken in a given order.
    ///
    /// # Errors
    /// Moments that are not finite.
    pub fn select_in_order(&self, width: usize, order: &[usize]) -> Result<Selection, NotFinite> {
        let select = |noise| {
            let mut rest = self.rest(self.cross.clone(), width, order.len(), noise);
            let taken = order.iter().map(|group| match rest.groups[*group].is_dependent() {
                true => Some(vec![(*group, 0.0)]),
                false => rest.deflate(&[*group]),
            });
            taken.collect::<Option<Vec<_>>>()
        };
        let taken = NOISE.into_iter().find_map(select).ok_or(NotFinite)?;
        Ok(self.selection(taken.concat()))
    }

    fn rest(&self, cross: Array2<f64>, width: usize, count: usize, noise: f64) -> Residual<'_> {
        let squares = &self.covariance.diag() + &self.feature_means.mapv(|mean| mean * mean);
        Residual::new(self.covariance.view(), cross, noise * squares, width, count)
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
    /// Noise of each feature's variance.
    noise: Array1<f64>,
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
    /// Sum of its features' noise.
    noise: f64,
    /// Its covariance, orthogonal to the groups taken: `[width, width]`.
    rest: Array2<f64>,
}

impl Group {
    /// Whether all of it is a combination of the groups taken.
    fn is_dependent(&self) -> bool {
        self.noise.is_finite() && self.rest.diag().sum() <= DEPENDENT * self.noise
    }
}

impl<'a> Residual<'a> {
    /// Of no group taken; at most `most` will be.
    fn new(
        covariance: ArrayView2<'a, f64>,
        cross: Array2<f64>,
        noise: Array1<f64>,
        width: usize,
        most: usize,
    ) -> Self {
        let features = covariance.nrows();
        assert_eq!(features % width, 0, "whole groups of features");
        assert!(most * width <= features, "{most} groups of {}", features / width);
        let group = |group: usize| {
            let of = group * width..(group + 1) * width;
            let rest = covariance.slice(s![of.clone(), of.clone()]).to_owned();
            Group { is_taken: false, noise: noise.slice(s![of]).sum(), rest }
        };
        let groups = (0..features / width).map(group).collect();
        Self {
            width,
            covariance,
            noise,
            cross,
            groups,
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
            if ranked.is_empty() {
                // Only rounding noise is left of the others: dividing by it would spoil all numbers.
                let open = self.groups.iter().enumerate().filter(|(_, group)| !group.is_taken);
                taken.extend(open.map(|(index, _)| (index, 0.0)).take(count - taken.len()));
                break;
            }
            let block = block.min(count - taken.len()).min(ranked.len());
            let chosen = match block {
                1 => vec![ranked[0].0],
                _ => self.choose(&ranked, block)?,
            };
            taken.extend(self.deflate(&chosen)?);
        }
        Some(taken)
    }

    /// Groups that are no combination of those taken, by what each explains alone, the most first.
    fn ranked(&self) -> Option<Vec<(usize, f64)>> {
        let groups = self.groups.par_iter().enumerate();
        let open = groups.filter(|(_, group)| !group.is_taken && !group.is_dependent());
        let gains = open.map(|(index, group)| {
            let mut cross = self.cross.slice(s![self.features(index), ..]).to_owned();
            self.root(group.rest.clone(), &self.features_of(&[index]))?.forward(&mut cross);
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
        let noise = self.noise.select(Axis(0), &features);
        let among = Residual::new(covariance.view(), cross, noise, self.width, count);
        let best = among.select(count, 1)?.into_iter();
        let is_good = |gain: f64| gain > 0.0 && gain >= least;
        let good = best.enumerate().take_while(|(place, (_, gain))| *place == 0 || is_good(*gain));
        Some(good.map(|(_, (index, _))| candidates[index]).collect())
    }

    /// Makes all groups orthogonal to these, and gives what each of them explains after those before.
    fn deflate(&mut self, chosen: &[usize]) -> Option<Vec<(usize, f64)>> {
        let features = self.features_of(chosen);
        let mut columns = self.columns(&features); // [features chosen, features]
        let root = self.root(columns.select(Axis(1), &features), &features)?;
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
        rows.into_par_iter().for_each(|(index, rows)| {
            let first = index * ROWS;
            let of = columns.slice(s![.., first..first + rows.nrows()]);
            add_product(rows, -1.0, of.t(), cross.view());
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
        add_product(covariance.view_mut(), -1.0, left.t(), left.view());
        covariance
    }

    /// Covariance of some features with all, orthogonal to the groups taken: `[some, features]`.
    fn columns(&self, some: &[usize]) -> Array2<f64> {
        let mut columns = self.covariance.select(Axis(0), some);
        let factor = self.factor.slice(s![..self.taken, ..]);
        let left = factor.select(Axis(1), some); // [taken, some]
        let parts: Vec<_> = columns.axis_chunks_iter_mut(Axis(1), ROWS).enumerate().collect();
        parts.into_par_iter().for_each(|(index, part)| {
            let first = index * ROWS;
            let right = factor.slice(s![.., first..first + part.ncols()]);
            add_product(part, -1.0, left.t(), right);
        });
        columns
    }

    /// The factor of a covariance of some features, which may lack full rank.
    fn root(&self, mut covariance: Array2<f64>, features: &[usize]) -> Option<Cholesky> {
        for (entry, feature) in covariance.diag_mut().iter_mut().zip(features) {
            *entry = entry.max(0.0) + self.noise[*feature];
        }
        let scale = self.noise.mean().filter(|mean| *mean > 0.0).unwrap_or(1.0) / NOISE[0];
        Cholesky::of_penalised(&covariance, 0.0, scale)
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
mod tests;
