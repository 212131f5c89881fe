//! The published code's probe, replayed to measure what its fault costs.

use std::error::Error as StdError;

use burn::tensor::{Device, Tensor};
use learngene_models::Model;

use super::{
    ProbeStatistics,
    measure::{Blank, measure},
};
use crate::{distances::Convention, error::ClusteringError};

/// [`probe`](crate::probe()) as the published code has it, never for use: pixels from 0 to 1 are
/// normalised by statistics on the scale of bytes, which leaves images nearly blank, and that is not
/// refused.
///
/// # Shapes
/// - batches: images normalised by `mean` and `std`, as for a sound probe, each
///   `[batch, 3, image_size, image_size]`
///
/// # Errors
/// The stream's own error; no image; attention that is not finite.
pub fn probe_blank<E: StdError + Send + Sync + 'static>(
    model: &Model,
    batches: impl IntoIterator<Item = Result<Tensor<4>, E>>,
    convention: Convention,
    (mean, std): ([f32; 3], [f32; 3]),
    device: &Device,
) -> Result<ProbeStatistics, ClusteringError> {
    // (p - 255 m) / (255 s) = (x - 254 m / s) / 255 of a pixel p with x = (p - m) / s.
    let shift: [f32; 3] = std::array::from_fn(|channel| 254.0 * mean[channel] / std[channel]);
    let shift = Tensor::<1>::from_floats(shift, device).reshape([1, 3, 1, 1]);
    let blank = batches
        .into_iter()
        .map(|batch| batch.map(|images| (images - shift.clone()).div_scalar(255.0)));
    measure(model, blank, convention, device, Blank::Accept, |_, _| {})
}

#[cfg(test)]
mod tests {
    use learngene_models::{ModelConfig, VitConfig};

    use super::*;
    use crate::probe;

    /// What is measured of pixels that were normalised so from the start, which a sound probe refuses.
    #[test]
    fn images_are_normalised_by_statistics_of_bytes() {
        let device = Device::flex();
        let vit = VitConfig::uniform(16, 1, 2).with_image_size(16).with_patch_size(8);
        let model = ModelConfig::Vit(vit).init(&device);
        let channel = |values: [f32; 3]| Tensor::<1>::from_floats(values, &device);
        let channel = |values| channel(values).reshape([1, 3, 1, 1]);
        let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let uniform = burn::tensor::Distribution::Uniform(0.0, 1.0);
        let pixels = Tensor::<4>::random([3, 3, 16, 16], uniform, &device);
        let sound = (pixels.clone() - channel(mean)) / channel(std);
        let measured = probe_blank::<std::io::Error>(
            &model,
            [Ok(sound.clone())],
            Convention::Renormalized,
            (mean, std),
            &device,
        )
        .expect("blank images are what is wanted");

        let bytes = |values: [f32; 3]| values.map(|value| 255.0 * value);
        let published = (pixels - channel(bytes(mean))) / channel(bytes(std));
        let wanted = [Ok::<_, std::io::Error>(published.clone())];
        let accept = Blank::Accept;
        let wanted = measure(&model, wanted, Convention::Renormalized, &device, accept, |_, _| {});
        let wanted = wanted.expect("blank images are accepted").heads.mean;
        for (got, wanted) in measured.heads.mean[0].iter().zip(&wanted[0]) {
            assert!((got - wanted).abs() < 1e-4, "{got} px, wanted {wanted}");
        }
        let refused =
            probe::<std::io::Error>(&model, [Ok(published)], Convention::Renormalized, &device);
        assert!(matches!(refused, Err(ClusteringError::BlankImages { images: 3, .. })));
        let sound = probe::<std::io::Error>(&model, [Ok(sound)], Convention::Renormalized, &device);
        assert_ne!(sound.expect("images with spread").heads.mean, measured.heads.mean);
    }

    #[test]
    fn no_image_is_refused_still() {
        let device = Device::flex();
        let vit = VitConfig::uniform(16, 1, 2).with_image_size(16).with_patch_size(8);
        let model = ModelConfig::Vit(vit).init(&device);
        let statistics = ([0.5; 3], [0.5; 3]);
        let convention = Convention::Renormalized;
        let error = probe_blank::<std::io::Error>(&model, [], convention, statistics, &device);
        assert!(matches!(error, Err(ClusteringError::NoImages)), "{error:?}");
    }
}
