//! The exponential moving average of a model's parameters, evaluated and saved beside the model.
//!
//! Source: Polyak and Juditsky, 1992; the average and its first step as in timm's `ModelEmaV3`.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

/// How the decay of the average grows in the first steps, so that the average does not stay near the
/// initial model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmaWarmup {
    /// Constant, except that the first step replaces the average.
    None,
    /// As `(1 + n) / (10 + n)` after n steps: the usual of TensorFlow's averages.
    #[default]
    Ratio,
    /// As `1 - n^(-2/3)`: timm's `ModelEmaV3` with `use_warmup`.
    Power,
}

impl EmaWarmup {
    /// Decay of a step, counted from one.
    pub(crate) fn decay(self, decay: f64, step: usize) -> f64 {
        let n = step as f64;
        match self {
            _ if step <= 1 => 0.0,
            Self::None => decay,
            Self::Ratio => decay.min((1.0 + n) / (10.0 + n)),
            Self::Power => decay.min(1.0 - n.powf(-2.0 / 3.0)),
        }
    }
}

/// The average after a step: `average + (1 - decay) (model - average)`.
pub(crate) fn averaged<M: Module>(average: M, model: &M, decay: f64) -> M {
    let mut current = Collect(GradientsParams::new());
    model.visit(&mut current);
    average.map(&mut Towards { current: current.0, share: 1.0 - decay })
}

/// All parameters by their ids, in burn's container for tensors of any rank.
struct Collect(GradientsParams);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.0.register(parameter.id, parameter.val());
    }
}

/// Moves each parameter a part of its way to another one.
struct Towards {
    current: GradientsParams,
    share: f64,
}

impl ModuleMapper for Towards {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let current = self.current.remove::<D>(parameter.id);
        let current = current.expect("an average has the parameters of its model");
        let share = self.share;
        parameter.map(|average| average.clone() + (current - average) * share)
    }
}

#[cfg(test)]
mod tests {
    use burn::{nn::LinearConfig, tensor::Device};
    use serde::Deserialize;

    use super::*;

    fn check_decay(warmup: EmaWarmup, want: &[(usize, f64)]) {
        for (step, want) in want {
            let got = warmup.decay(0.9999, *step);
            assert!((got - want).abs() < 1e-6, "step {step}: {got}, expected {want}");
        }
    }

    /// Figures of `ModelEmaV3.get_decay` in timm 1.0.31.
    #[test]
    fn decay_is_that_of_timm() {
        check_decay(EmaWarmup::None, &[(1, 0.0), (2, 0.9999), (3, 0.9999), (1000, 0.9999)]);
        let power = [(1, 0.0), (2, 0.3700395), (3, 0.5192502), (10, 0.7845565), (1000, 0.99)];
        check_decay(EmaWarmup::Power, &power);
        check_decay(EmaWarmup::Power, &[(10_000_000, 0.9999)]);
    }

    #[test]
    fn decay_rises_by_a_ratio() {
        check_decay(EmaWarmup::Ratio, &[(1, 0.0), (8, 0.5), (90, 0.91), (1_000_000, 0.9999)]);
    }

    /// Averages of a parameter that is 1, 2, 3, ... after each step, by timm; see
    /// `fixtures/make_timm.py`.
    #[derive(Deserialize)]
    struct Timm {
        none: Vec<f32>,
        power: Vec<f32>,
    }

    fn check_average(warmup: EmaWarmup, timm: impl Fn(Timm) -> Vec<f32>) {
        let fixture = include_str!("../fixtures/averages.json");
        let expected = timm(serde_json::from_str(fixture).expect("the fixture is good"));
        let model = LinearConfig::new(1, 1).with_bias(false).init(&Device::flex());
        let mut average = model.clone();
        for (step, want) in (1..).zip(expected) {
            let model = model.clone().map(&mut Constant(step as f32));
            average = averaged(average, &model, warmup.decay(0.9, step));
            let got = average.weight.val().into_scalar::<f32>();
            assert!((got - want).abs() < 1e-6 * want, "step {step}: {got}, expected {want}");
        }
    }

    #[test]
    fn the_average_is_that_of_timm() {
        check_average(EmaWarmup::None, |timm| timm.none);
        check_average(EmaWarmup::Power, |timm| timm.power);
    }

    /// Sets every parameter to one value.
    struct Constant(f32);

    impl ModuleMapper for Constant {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            parameter.map(|tensor| tensor.full_like(self.0))
        }
    }
}
