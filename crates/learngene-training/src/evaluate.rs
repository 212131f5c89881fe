//! Accuracy of a classifier on labelled images.

use std::{num::NonZeroUsize, sync::Arc};

use burn::tensor::{Device, Tensor};
use learngene_datasets::{CheckedPreprocess, Dataset};
use learngene_models::Classifier;
use serde::{Deserialize, Serialize};

use crate::{
    batches::in_order,
    error::{Result, invalid},
    host_batch::HostBatch,
};

/// Accuracy and loss on a set of images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Images whose most likely class is correct, in percent; of equally likely classes the lowest counts.
    pub top1: f64,
    /// Images whose correct class is among the five most likely, in percent.
    pub top5: f64,
    /// Mean cross-entropy, without label smoothing.
    pub loss: f64,
    /// Number of images.
    pub images: usize,
}

/// Evaluates a classifier on every image of a dataset; images are loaded ahead of the device.
///
/// # Errors
/// No images; an image without a label or one that cannot be read; another number of classes than the
/// model's; a logit that is not finite.
pub fn evaluate<C: Classifier>(
    model: &C,
    images: &Arc<dyn Dataset>,
    preprocess: &CheckedPreprocess,
    batch_size: NonZeroUsize,
    device: &Device,
) -> Result<Evaluation> {
    let (mut top1, mut top5, mut loss) = (0, 0, 0.0);
    each(model, images, preprocess, batch_size, device, |logits, label| {
        let ahead = classes_ahead(logits, label);
        top1 += usize::from(ahead < 1);
        top5 += usize::from(ahead < 5);
        loss += cross_entropy(logits, label);
    })?;
    let percent = |count: usize| 100.0 * count as f64 / images.len() as f64;
    Ok(Evaluation {
        top1: percent(top1),
        top5: percent(top5),
        loss: loss / images.len() as f64,
        images: images.len(),
    })
}

/// How many images of each class are taken for each: `[true][predicted]`.
///
/// # Errors
/// Those of [`evaluate`].
pub fn confusion<C: Classifier>(
    model: &C,
    images: &Arc<dyn Dataset>,
    preprocess: &CheckedPreprocess,
    batch_size: NonZeroUsize,
    device: &Device,
) -> Result<Vec<Vec<usize>>> {
    let classes = model.num_classes();
    let mut counts = vec![vec![0; classes]; classes];
    each(model, images, preprocess, batch_size, device, |logits, label| {
        let predicted = (0..classes).find(|class| classes_ahead(logits, *class) == 0);
        counts[label][predicted.expect("one is the most likely")] += 1;
    })?;
    Ok(counts)
}

/// Calls `visit` with the logits and the label of every image; images are loaded ahead of the device.
fn each<C: Classifier>(
    model: &C,
    images: &Arc<dyn Dataset>,
    preprocess: &CheckedPreprocess,
    batch_size: NonZeroUsize,
    device: &Device,
    mut visit: impl FnMut(&[f32], usize),
) -> Result<()> {
    check_classes(model, images.as_ref(), "test")?;
    let mut image = 0..;
    for batch in in_order(images, preprocess, batch_size)? {
        let batch = batch?;
        let labels = batch.labels.clone();
        let logits = rows(model.forward(HostBatch::new(batch, None).upload(device).images));
        for ((logits, label), image) in logits.iter().zip(labels).zip(&mut image) {
            // Nothing is larger than NaN, so the image would count as correct.
            if let Some(class) = logits.iter().position(|logit| !logit.is_finite()) {
                let place = format!("{}: logit of class {class}", images.name(image));
                return Err(invalid(place, logits[class], "a finite number"));
            }
            visit(logits, label);
        }
    }
    Ok(())
}

/// Checks that there are images, and of as many classes as the model has.
pub(crate) fn check_classes<C: Classifier>(
    model: &C,
    images: &dyn Dataset,
    split: &str,
) -> Result<()> {
    let (model, data) = (model.num_classes(), images.classes().len());
    if images.is_empty() {
        Err(invalid(format!("{split} images"), "none", "at least one"))
    } else if model != data {
        Err(invalid(
            format!("classes of the {split} images"),
            data,
            format!("{model}, as the model has"),
        ))
    } else {
        Ok(())
    }
}

/// Fetches a matrix from the device, row by row.
fn rows(matrix: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, columns] = matrix.dims();
    let values: Vec<f32> =
        matrix.into_data().convert::<f32>().try_into_vec().expect("converted to f32 just before");
    values.chunks_exact(columns).map(<[f32]>::to_vec).collect()
}

/// Classes that are ranked before the label: those with a larger logit, and lower classes with an equal
/// one, so that a model with equal logits gets one class right and not all.
fn classes_ahead(logits: &[f32], label: usize) -> usize {
    let own = logits[label];
    let larger = logits.iter().filter(|logit| **logit > own).count();
    larger + logits[..label].iter().filter(|logit| **logit == own).count()
}

/// `log(sum exp z) - z[label]`, in f64 and safe from overflow.
fn cross_entropy(logits: &[f32], label: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max) as f64;
    let sum: f64 = logits.iter().map(|logit| (*logit as f64 - largest).exp()).sum();
    largest + sum.ln() - logits[label] as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_ahead(logits: &[f32], want: &[usize]) {
        let ahead: Vec<usize> =
            (0..logits.len()).map(|label| classes_ahead(logits, label)).collect();
        assert_eq!(ahead, want, "{logits:?}");
    }

    #[test]
    fn classes_are_ranked_by_logit_then_number() {
        check_ahead(&[0.5, 2.0, -1.0], &[1, 0, 2]);
        check_ahead(&[3.0; 7], &[0, 1, 2, 3, 4, 5, 6]);
        check_ahead(&[0.0, 1.0, -0.0, 1.0], &[2, 0, 3, 1]);
    }

    #[test]
    fn cross_entropy_of_even_logits_is_the_log_of_the_classes() {
        assert!((cross_entropy(&[3.0; 10], 4) - 10f64.ln()).abs() < 1e-12);
        assert!(cross_entropy(&[1000.0, 0.0], 0).abs() < 1e-12);
    }
}
