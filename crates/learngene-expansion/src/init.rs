//! Fresh weights that depend on a seed and their own name, not on order or device.

use std::f64::consts::TAU;

use learngene_shape::{Init, Parameter, Shape};
use learngene_tensors::{StateDict, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Fresh values lie within this distance of zero, as in timm's `trunc_normal_` with its default
/// bounds: absolute ones, 100 standard deviations away, so that they never bind in practice.
const BOUND: f64 = 2.0;

/// Freshly initialised parameters of a model of that shape: training from scratch starts here.
///
/// Each parameter is as its [`Init`] says: constant, or normal and truncated at -2 and 2. As in
/// timm's ViT, DeiT and Swin, but for the class token, which is drawn likewise (so does DeiT;
/// timm's standard deviation is 1e-6), and the patch embedding, which timm leaves at PyTorch's
/// default for convolutions, uniform within 1 / sqrt(fan in).
///
/// Each parameter has a random stream of its own, given by the seed and its name: models of
/// different shapes share what their parameters have in common, whatever else they hold.
///
/// ```
/// use learngene_expansion::from_scratch;
/// use learngene_shape::{Family, Vit};
///
/// let vit = Vit { image_size: 32, num_classes: 10, ..Vit::uniform(48, 2, 3) };
/// let shape = vit.shape()?;
/// let parameters = from_scratch(&shape, 0);
/// assert_eq!(parameters.num_parameters() as u64, shape.count_parameters());
/// # Ok::<(), learngene_tensors::Error>(())
/// ```
pub fn from_scratch(shape: &Shape, seed: u64) -> StateDict {
    let parameters = shape.parameters().into_iter();
    let draw = |parameter: Parameter| {
        let tensor = draw(&parameter, &parameter.name, seed);
        (parameter.name, tensor)
    };
    parameters.map(draw).collect()
}

/// A freshly drawn parameter of a descendant.
///
/// Its stream is not that of [`from_scratch`]: an ancestor trained from scratch with the same seed
/// began with those values, and its features have grown to fit them.
pub(crate) fn fresh(parameter: &Parameter, seed: u64) -> Tensor {
    draw(parameter, &format!("descendant.{}", parameter.name), seed)
}

/// A parameter's first values, where they are random from the stream of that name.
fn draw(parameter: &Parameter, stream: &str, seed: u64) -> Tensor {
    let count = parameter.count();
    let values = match parameter.init {
        Init::Constant(value) => vec![value; count],
        Init::Normal { std } => truncated_normal(stream, seed, std, count),
    };
    Tensor::new(parameter.shape(), values)
}

/// Normal values around 0 from the stream of that name, by Box and Muller's method; those beyond -2
/// and 2 are left out.
///
/// The stream is given by the seed and the name alone, so that values do not depend on order or
/// device.
pub fn truncated_normal(stream: &str, seed: u64, std: f64, count: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(fnv1a(stream.bytes()));
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
pub(crate) fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use learngene_shape::{Family, Vit};

    use super::*;

    fn vit() -> Vit {
        let vit = Vit { image_size: 32, patch_size: 8, ..Vit::uniform(48, 2, 3) };
        Vit { num_classes: 10, ..vit }
    }

    fn draw(vit: Vit, seed: u64) -> StateDict {
        from_scratch(&vit.shape().expect("possible"), seed)
    }

    /// 110,592 values: the standard error of their mean is 6e-5, of their deviation 4.3e-5.
    #[test]
    fn weights_are_normal() {
        let parameters = draw(Vit { num_classes: 0, ..Vit::deit_tiny() }, 3);
        let drawn = &parameters.get("blocks.5.attn.qkv.weight").expect("a weight").values;
        let moment = |power: i32| {
            let powers = drawn.iter().map(|value| (f64::from(*value) / 0.02).powi(power));
            powers.sum::<f64>() / drawn.len() as f64
        };
        assert!(moment(1).abs() < 0.015, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.02, "variance {}", moment(2));
        assert!(moment(3).abs() < 0.04, "skewness {}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.15, "kurtosis {}", moment(4));
    }

    #[test]
    fn biases_are_zero_and_norms_one() {
        for (name, tensor) in draw(vit(), 0).iter() {
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

    /// Pinned, because a seed that changed its meaning would change every recorded figure.
    #[test]
    fn a_seed_keeps_its_meaning() {
        let first = &truncated_normal("cls_token", 0, 0.02, 3);
        assert_eq!(format!("{first:.6?}"), "[-0.012647, -0.024436, -0.012471]");
        assert_ne!(draw(vit(), 1), draw(vit(), 2));
    }

    #[test]
    fn a_parameter_does_not_depend_on_the_others() {
        let shallow = draw(vit(), 1);
        let (num_heads, hidden_dim) = (vec![3, 5, 2], vec![192; 3]);
        let deep = draw(Vit { num_heads, hidden_dim, num_classes: 7, ..vit() }, 1);
        for name in ["pos_embed", "blocks.0.attn.qkv.weight", "blocks.1.mlp.fc1.weight"] {
            assert_eq!(shallow.get(name), deep.get(name), "{name}");
        }
        assert_ne!(deep.get("blocks.0.mlp.fc1.weight"), deep.get("blocks.1.mlp.fc1.weight"));
    }

    /// Or the descendants of an ancestor with that seed would start with a classifier that fits.
    #[test]
    fn a_descendant_s_classifier_is_not_that_of_its_ancestor_s_first_step() {
        let ancestor = draw(vit(), 0);
        for parameter in vit().shape().expect("possible").classifier_parameters() {
            let is_equal = ancestor.get(&parameter.name) == Some(&fresh(&parameter, 0));
            assert_eq!(is_equal, parameter.init == Init::Constant(0.0), "{}", parameter.name);
        }
    }
}
