//! Cross-entropy against classes or soft labels.

use burn::{
    nn::loss::CrossEntropyLossConfig,
    tensor::{Int, Tensor, activation::log_softmax},
};

/// What the images show.
#[derive(Clone, Debug)]
pub(crate) enum Targets {
    /// One class for each image: `[images]`.
    Classes(Tensor<1, Int>),
    /// Soft labels, smoothed already: a probability for each class, `[images, num_classes]`.
    Soft(Tensor<2>),
}

/// Mean over the images, `[1]`, of `-sum_c target_c log softmax(logits)_c`.
///
/// For class targets, `label_smoothing` of the target is spread evenly over all classes, as in PyTorch.
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
            // With a smoothing of zero burn would build soft labels, at the cost of another pass.
            let smoothing = (label_smoothing > 0.0).then_some(label_smoothing as f32);
            CrossEntropyLossConfig::new()
                .with_smoothing(smoothing)
                .init(&logits.device())
                .forward(logits, classes.clone())
        }
        Targets::Soft(labels) => soft_cross_entropy(logits, labels.clone()),
    }
}

/// Mean over the images, `[1]`, of `-sum_c p_c log softmax(logits)_c`, both `[images, num_classes]`.
pub(crate) fn soft_cross_entropy(logits: Tensor<2>, probabilities: Tensor<2>) -> Tensor<1> {
    let [images, _] = logits.dims();
    (probabilities * log_softmax(logits, 1)).sum() / -(images as f64)
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
        assert!((got - want).abs() < 1e-6, "{got}, expected {want}");
    }

    #[test]
    fn the_loss_is_that_of_timm() {
        let soft = Targets::Soft(Tensor::from_data(timm().shares, &Device::flex()));
        check_loss(&soft, 0.0, timm().of_shares);
        let classes = Targets::Classes(Tensor::from_data(timm().classes, &Device::flex()));
        check_loss(&classes, 0.1, timm().of_classes_smoothed);
    }

    #[test]
    fn a_smoothed_class_and_its_soft_label_have_one_loss() {
        let (rest, own) = (0.02, 0.92);
        let labels = timm().classes.map(|class| {
            let mut label = [rest; 5];
            label[class as usize] = own;
            label
        });
        let soft = Targets::Soft(Tensor::from_data(labels, &Device::flex()));
        check_loss(&soft, 0.0, timm().of_classes_smoothed);
    }
}
