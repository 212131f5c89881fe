//! Fresh weights that depend on a seed and their own name, not on order or device.

use std::f64::consts::TAU;

use learngene_models::{HostTensor, ModelConfig, StateDict};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ExpansionError;

/// Standard deviation of fresh weights, as in timm and DeiT.
const STD: f64 = 0.02;

/// Fresh values lie within this distance of zero, as in timm's `trunc_normal_` with its default
/// bounds: absolute ones, 100 standard deviations away, so that they never bind in practice.
const BOUND: f64 = 2.0;

/// Freshly initialised parameters of a model of that shape: training from scratch starts here.
///
/// As timm's ViT, DeiT and Swin: linear weights and positions from a normal distribution of standard
/// deviation .02 truncated at -2 and 2, biases zero, norms one and zero. The class token is drawn
/// likewise (so does DeiT; timm's standard deviation is 1e-6), and so is the patch embedding,
/// which timm leaves at PyTorch's default for convolutions, uniform within 1 / sqrt(fan in).
///
/// Each parameter has a random stream of its own, given by the seed and its name: models of
/// different shapes share what their parameters have in common, whatever else they hold.
///
/// # Errors
/// [`ExpansionError::Shape`] where no vision transformer can have that shape.
///
/// ```
/// use learngene_expansion::from_scratch;
/// use learngene_models::{VitConfig, count_parameters};
///
/// let vit = VitConfig::uniform(48, 2, 3).with_image_size(32).with_num_classes(10);
/// let config = vit.into();
/// let parameters = from_scratch(&config, 0)?;
/// assert_eq!(parameters.num_parameters() as u64, count_parameters(&config));
/// # Ok::<(), learngene_expansion::ExpansionError>(())
/// ```
pub fn from_scratch(config: &ModelConfig, seed: u64) -> Result<StateDict, ExpansionError> {
    config.check()?;
    let shapes = config.parameter_shapes().into_iter();
    Ok(shapes.map(|(name, shape)| (name.clone(), fresh(&name, &name, shape, seed))).collect())
}

/// A fresh classifier where the shape has one.
pub(crate) fn fresh_classifier(config: &ModelConfig, seed: u64) -> Vec<(String, HostTensor)> {
    fresh_part(config, "head.", seed)
}

/// The freshly drawn parameters of one layer.
pub(crate) fn fresh_layer(
    config: &ModelConfig,
    layer: usize,
    seed: u64,
) -> Vec<(String, HostTensor)> {
    fresh_part(config, &(config.block(layer) + "."), seed)
}

/// The parameters whose names begin so.
///
/// Their streams are not those of [`from_scratch`]: an ancestor trained from scratch with the same seed
/// began with those values, and its features have grown to fit them.
fn fresh_part(config: &ModelConfig, prefix: &str, seed: u64) -> Vec<(String, HostTensor)> {
    let shapes = config.parameter_shapes().into_iter();
    shapes
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, shape)| {
            let tensor = fresh(&name, &format!("descendant.{name}"), shape, seed);
            (name, tensor)
        })
        .collect()
}

/// A parameter's first values, where they are random from the stream of that name.
fn fresh(name: &str, stream: &str, shape: Vec<usize>, seed: u64) -> HostTensor {
    let count = shape.iter().product();
    let values = match name.rsplit('.').collect::<Vec<_>>().as_slice() {
        ["bias", ..] => vec![0.0; count],
        ["weight", "norm" | "norm1" | "norm2", ..] => vec![1.0; count],
        _ => truncated_normal(stream, seed, STD, count),
    };
    HostTensor::new(shape, values)
}

/// Normal values by Box and Muller's method, from the stream of that name; those out of bounds are
/// left out.
pub(crate) fn truncated_normal(stream: &str, seed: u64, std: f64, count: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(fnv1a(stream));
    let pairs = std::iter::from_fn(|| Some((uniform(&mut rng), uniform(&mut rng))));
    pairs
        .flat_map(|(radius, angle)| {
            let radius = std * (-2.0 * radius.ln()).sqrt();
            let (sin, cos) = (TAU * angle).sin_cos();
            [radius * cos, radius * sin]
        })
        .filter(|value| value.abs() <= BOUND)
        .map(|value| value as f32)
        .take(count)
        .collect()
}

/// A multiple of 2^-53 in (0, 1], whose logarithm is finite.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    ((rng.next_u64() >> 11) + 1) as f64 * 2f64.powi(-53)
}

/// Fowler, Noll and Vo's hash of 64 bits, variant 1a.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use learngene_models::{SwinConfig, VitConfig};

    use super::*;

    fn vit() -> VitConfig {
        VitConfig::uniform(48, 2, 3).with_image_size(32).with_patch_size(8).with_num_classes(10)
    }

    fn config() -> ModelConfig {
        vit().into()
    }

    fn values<'a>(parameters: &'a StateDict, name: &str) -> &'a [f32] {
        &parameters.get(name).expect("a parameter of the model").values
    }

    /// 110,592 values: the standard error of their mean is 6e-5, of their deviation 4.3e-5.
    #[test]
    fn weights_are_normal() {
        let config = VitConfig::deit_tiny().with_num_classes(0).into();
        let parameters = from_scratch(&config, 3).expect("a preset");
        let drawn = values(&parameters, "blocks.5.attn.qkv.weight");
        let count = drawn.len() as f64;
        let moment = |power: i32| {
            drawn.iter().map(|value| (f64::from(*value) / STD).powi(power)).sum::<f64>() / count
        };
        assert!(moment(1).abs() < 0.015, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.02, "variance {}", moment(2));
        assert!(moment(3).abs() < 0.04, "skewness {}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.15, "kurtosis {}", moment(4));
    }

    #[test]
    fn biases_are_zero_and_norms_one() {
        let parameters = from_scratch(&config(), 0).expect("a possible shape");
        for (name, tensor) in parameters.iter() {
            let all = |value: f32| tensor.values.iter().all(|found| *found == value);
            if name.ends_with("bias") {
                assert!(all(0.0), "{name}");
            } else if name.contains("norm") {
                assert!(all(1.0), "{name}");
            } else {
                assert!(tensor.values.iter().all(|value| *value != 0.0), "{name}");
            }
        }
    }

    #[test]
    fn parameters_are_those_of_the_model() {
        for config in [config(), SwinConfig::uniform(24, &[1, 1], &[3, 3]).into()] {
            let parameters = from_scratch(&config, 0).expect("a possible shape");
            assert_eq!(parameters.check_against(&config.parameter_shapes()), Ok(()));
        }
    }

    #[test]
    fn the_seed_alone_fixes_the_weights() {
        let draw = |seed| from_scratch(&config(), seed).expect("a possible shape");
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    /// Pinned, because a seed that changed its meaning would change every recorded figure.
    #[test]
    fn a_seed_keeps_its_meaning() {
        let first = &truncated_normal("cls_token", 0, STD, 3);
        assert_eq!(format!("{first:.6?}"), "[-0.012647, -0.024436, -0.012471]");
    }

    #[test]
    fn a_parameter_does_not_depend_on_the_others() {
        let shallow = from_scratch(&config(), 1).expect("a possible shape");
        let wider = VitConfig { num_heads: vec![3, 5, 2], num_classes: 7, ..vit() };
        let deep = from_scratch(&wider.into(), 1).expect("a possible shape");
        for name in ["pos_embed", "blocks.0.attn.qkv.weight", "blocks.1.mlp.fc1.weight"] {
            assert_eq!(shallow.get(name), deep.get(name), "{name}");
        }
        assert_ne!(
            values(&deep, "blocks.0.mlp.fc1.weight"),
            values(&deep, "blocks.1.mlp.fc1.weight")
        );
    }

    /// Or the descendants of an ancestor with that seed would start with a classifier that fits.
    #[test]
    fn a_descendant_s_classifier_is_not_that_of_its_ancestor_s_first_step() {
        let (ancestor, descendant) = (from_scratch(&config(), 0), fresh_classifier(&config(), 0));
        let ancestor = ancestor.expect("a possible shape");
        for (name, tensor) in &descendant {
            let equal = ancestor.get(name) == Some(tensor);
            assert_eq!(equal, name == "head.bias", "{name}");
        }
    }

    #[test]
    fn an_impossible_shape_is_refused() {
        let error = from_scratch(&config().with_image_size(33), 0).expect_err("33 by 8");
        assert_eq!(error.to_string(), "image size 33 is not a multiple of the patch size 8");
    }
}
