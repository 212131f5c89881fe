//! Cross-entropy against classes, or against shares of classes as mixed images have them.

use burn::{
    nn::loss::CrossEntropyLossConfig,
    tensor::{Int, Tensor, activation::log_softmax},
};

/// What images should be recognised as.
#[derive(Clone, Debug)]
pub enum Targets {
    /// One class each: `[images]`.
    Classes(Tensor<1, Int>),
    /// Shares of all classes that sum to 1, smoothed already: `[images, num_classes]`.
    Shares(Tensor<2>),
}

/// Mean over the images, `[1]`, of `-sum_c target_c log softmax(logits)_c`.
///
/// Of a class, `label_smoothing` is spread evenly over all of them, as in PyTorch.
///
/// # Shapes
/// - logits: `[images, num_classes]`
pub(crate) fn cross_entropy(
    logits: Tensor<2>,
    targets: &Targets,
    label_smoothing: f64,
) -> Tensor<1> {
    match targets {
        Targets::Classes(classes) => {
            // burn treats a smoothing of zero as a softer target too, at the cost of another pass.
            let smoothing = (label_smoothing > 0.0).then_some(label_smoothing as f32);
            CrossEntropyLossConfig::new()
                .with_smoothing(smoothing)
                .init(&logits.device())
                .forward(logits, classes.clone())
        }
        Targets::Shares(shares) => {
            let [images, _] = logits.dims();
            (shares.clone() * log_softmax(logits, 1)).sum() / -(images as f64)
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use serde::Deserialize;

    use super::*;

    /// What timm computed, see `fixtures/make_timm.py`.
    #[derive(Deserialize)]
    struct Timm {
        logits: [[f32; 5]; 4],
        shares: [[f32; 5]; 4],
        classes: [i64; 4],
        of_shares: f32,
        of_classes_smoothed: f32,
    }

    fn timm() -> Timm {
        serde_json::from_str(include_str!("../fixtures/losses.json")).expect("the fixture is good")
    }

    fn check_loss(targets: &Targets, label_smoothing: f64, want: f32) {
        let logits = Tensor::from_data(timm().logits, &Device::flex());
        let got = cross_entropy(logits, targets, label_smoothing).into_scalar::<f32>();
        assert!((got - want).abs() < 1e-6, "{got}, wanted {want}");
    }

    #[test]
    fn the_loss_of_shares_is_that_of_timm() {
        let shares = Targets::Shares(Tensor::from_data(timm().shares, &Device::flex()));
        check_loss(&shares, 0.0, timm().of_shares);
    }

    #[test]
    fn the_loss_of_smoothed_classes_is_that_of_timm() {
        let classes = Targets::Classes(Tensor::from_data(timm().classes, &Device::flex()));
        check_loss(&classes, 0.1, timm().of_classes_smoothed);
    }

    #[test]
    fn shares_of_a_smoothed_class_lose_as_much() {
        let (rest, own) = (0.02, 0.92);
        let shares = timm().classes.map(|class| {
            let mut shares = [rest; 5];
            shares[class as usize] = own;
            shares
        });
        let shares = Targets::Shares(Tensor::from_data(shares, &Device::flex()));
        check_loss(&shares, 0.0, timm().of_classes_smoothed);
    }
}
