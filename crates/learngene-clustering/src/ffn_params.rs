//! How FFNs of neighbouring layers are joined.

use std::ops::Range;

use learngene_format::{FfnAlgorithm, FfnNorm, RepresentativePolicy};
use learngene_tensors::{Error, Result};

use crate::params::{check_differences, check_length};

/// How FFNs of neighbouring layers are joined and which one stands for a group: written unchecked, used
/// checked. Layers are counted from 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FfnParams {
    /// What makes a group. Of its lists, a single entry counts for every layer.
    pub algorithm: FfnAlgorithm,
    /// Runs of neighbouring layers inside a stage, for [`FfnAlgorithm::Given`] alone; layers in none of
    /// them keep their own FFN.
    pub groups: Vec<Vec<usize>>,
    /// What stands for a group: one layer, or the mean of all layers' parameters.
    pub representative: RepresentativePolicy,
    /// Which norm stands before the FFN of each layer.
    pub norm: FfnNorm,
}

/// Parameters that passed [`FfnParams::check`].
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedFfnParams {
    params: FfnParams,
    /// Runs of layers that may share FFNs; the stages where they are not known.
    pub(crate) runs: Option<Vec<Range<usize>>>,
}

impl FfnParams {
    /// The paper's rule for given differences in pixels; its own are those for heads,
    /// [`default_eps`](crate::default_eps).
    pub fn paper(eps: Vec<f64>) -> Self {
        Self { algorithm: FfnAlgorithm::Paper { eps }, ..Self::default() }
    }

    /// Neighbours whose mean distances differ by at most so many pixels; see [`default_ffn_eps`].
    pub fn contiguous(eps: Vec<f64>) -> Self {
        Self { algorithm: FfnAlgorithm::Contiguous { eps }, ..Self::default() }
    }

    /// Groups that somebody chose.
    pub fn given(groups: Vec<Vec<usize>>) -> Self {
        Self { algorithm: FfnAlgorithm::Given, groups, ..Self::default() }
    }

    /// Checks all that can be known without the model.
    ///
    /// # Errors
    /// An empty list of eps or one that is negative or not finite; groups where none are given; a group
    /// that is empty, is no run of neighbours, or has a layer in common with another.
    pub fn check(self) -> Result<CheckedFfnParams> {
        if let FfnAlgorithm::Paper { eps } | FfnAlgorithm::Contiguous { eps } = &self.algorithm {
            check_differences("eps of FFNs", eps)?;
        }
        if self.algorithm != FfnAlgorithm::Given && !self.groups.is_empty() {
            let found = format!("{:?}", self.groups);
            return Err(Error::invalid("groups of FFNs", found, "none, as others make them"));
        }
        for layers in &self.groups {
            let is_run = layers.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]));
            if layers.is_empty() || !is_run {
                let expected = "neighbouring layers in ascending order";
                return Err(Error::invalid("group of FFNs", format!("{layers:?}"), expected));
            }
        }
        let mut layers = self.groups.concat();
        layers.sort_unstable();
        match layers.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(CheckedFfnParams { params: self, runs: None }),
            Some(pair) => {
                let found = format!("layer {} more than once", pair[0]);
                Err(Error::invalid("groups of FFNs", found, "each layer at most once"))
            }
        }
    }
}

impl CheckedFfnParams {
    /// The parameters.
    pub fn get(&self) -> &FfnParams {
        &self.params
    }

    /// Joins layers only inside these runs, the [`ffn_runs`](learngene_format::ffn_runs) of a model.
    /// Distances alone tell its stages but not the widths of its FFNs.
    ///
    /// # Errors
    /// A list of eps of the wrong length; a given group with a layer that the model does not have, or
    /// with layers of two runs.
    pub fn within(self, runs: Vec<Range<usize>>) -> Result<Self> {
        self.check_layers(&runs, runs.last().map_or(0, |run| run.end))?;
        Ok(Self { runs: Some(runs), ..self })
    }

    /// Checks what [`CheckedFfnParams::within`] does, for runs that should have so many layers.
    pub(crate) fn check_layers(&self, runs: &[Range<usize>], depth: usize) -> Result<()> {
        let found = runs.last().map_or(0, |run| run.end);
        if found != depth {
            return Err(Error::invalid("layers that may share FFNs", found, depth));
        }
        let params = self.get();
        if let FfnAlgorithm::Paper { eps } | FfnAlgorithm::Contiguous { eps } = &params.algorithm {
            check_length("eps of FFNs", eps, depth)?;
        }
        let is_in_none = |layers: &&Vec<usize>| {
            !runs.iter().any(|run| layers.iter().all(|layer| run.contains(layer)))
        };
        match params.groups.iter().find(is_in_none) {
            None => Ok(()),
            Some(layers) => {
                let expected = format!("layers of one stage and FFN width, inside one of {runs:?}");
                Err(Error::invalid("group of FFNs", format!("layers {layers:?}"), expected))
            }
        }
    }
}

/// The method's difference for [`FfnParams::contiguous`], half of the radius for heads.
pub fn default_ffn_eps(eps: &[f64]) -> Vec<f64> {
    eps.iter().map(|eps| eps / 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(params: FfnParams, message: &str) {
        assert_eq!(params.check().expect_err(message).to_string(), message);
    }

    #[test]
    fn impossible_parameters_are_refused() {
        let expected = "expected a finite distance of 0 or more, in pixels";
        for eps in [-1.0, f64::NAN, f64::INFINITY] {
            let message = format!("eps of FFNs: found {eps}, {expected}");
            check_refused(FfnParams::contiguous(vec![5.0, eps]), &message);
        }
        let message = "eps of FFNs: found an empty list, expected one entry, or one for each layer";
        check_refused(FfnParams::paper(vec![]), message);
        for layers in [vec![], vec![1, 3], vec![2, 1], vec![4, 4], vec![usize::MAX, 0]] {
            let message = format!(
                "group of FFNs: found {layers:?}, expected neighbouring layers in ascending order"
            );
            check_refused(FfnParams::given(vec![layers]), &message);
        }
        let twice = FfnParams::given(vec![vec![4, 5], vec![1], vec![5, 6]]);
        let message =
            "groups of FFNs: found layer 5 more than once, expected each layer at most once";
        check_refused(twice, message);
        let groups = FfnParams { algorithm: FfnAlgorithm::None, ..FfnParams::given(vec![vec![0]]) };
        check_refused(groups, "groups of FFNs: found [[0]], expected none, as others make them");
    }

    #[test]
    fn parameters_must_fit_the_models_shape() {
        let message = |params: FfnParams| {
            let params = params.check().expect("possible parameters");
            params.within(vec![0..2, 2..5]).expect_err("another shape").to_string()
        };
        let expected = "expected layers of one stage and FFN width, inside one of [0..2, 2..5]";
        for layers in [vec![4, 5], vec![1, 2, 3]] {
            let wanted = format!("group of FFNs: found layers {layers:?}, {expected}");
            assert_eq!(message(FfnParams::given(vec![layers])), wanted);
        }
        let wanted = "eps of FFNs: found 2 entries, expected 1, or one for each of 5 layers";
        assert_eq!(message(FfnParams::contiguous(vec![1.0, 2.0])), wanted);
    }
}
