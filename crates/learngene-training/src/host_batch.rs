//! A batch before it goes to a device.

use burn::tensor::{Device, Tensor, TensorData};
use learngene_datasets::Batch;
use learngene_models::BranchScales;

use crate::{
    drop_path::Factors,
    image_batch::{Goal, ImageBatch},
    loss::Targets,
};

/// Images, their targets and the factors of their residual branches.
#[derive(Clone, Debug)]
pub(crate) struct HostBatch {
    pub(crate) batch: Batch,
    /// Factors of each layer, where stochastic depth drops some branches.
    pub(crate) branches: Option<Vec<Factors>>,
    /// Images of this part divided by those of the batch.
    weight: f64,
    part: usize,
}

impl HostBatch {
    /// A whole batch.
    pub(crate) fn new(batch: Batch, branches: Option<Vec<Factors>>) -> Self {
        Self { batch, branches, weight: 1.0, part: 0 }
    }

    /// Number of images.
    pub(crate) fn len(&self) -> usize {
        self.batch.shape[0]
    }

    /// Splits into that many parts of consecutive images, of sizes that differ by at most one; into
    /// fewer if there are fewer images.
    pub(crate) fn into_parts(self, count: usize) -> Vec<Self> {
        let (len, count) = (self.len(), count.clamp(1, self.len().max(1)));
        if count == 1 {
            return vec![self];
        }
        (0..count)
            .map(|part| {
                let images = part * len / count..(part + 1) * len / count;
                let Batch { pixels, shape: [_, channels, height, width], labels, targets } =
                    &self.batch;
                let size = channels * height * width;
                let rows = |values: &Vec<f32>, size: usize| {
                    values[images.start * size..images.end * size].to_vec()
                };
                let batch = Batch {
                    pixels: rows(pixels, size),
                    shape: [images.len(), *channels, *height, *width],
                    labels: labels[images.clone()].to_vec(),
                    targets: targets.as_ref().map(|targets| rows(targets, targets.len() / len)),
                };
                let layers = self.branches.as_ref();
                let branches = layers
                    .map(|layers| layers.iter().map(|layer| layer.of(images.clone())).collect());
                Self { batch, branches, weight: images.len() as f64 / len as f64, part }
            })
            .collect()
    }

    /// Brings the images to a device.
    pub(crate) fn upload(self, device: &Device) -> ImageBatch {
        let count = self.len();
        let Batch { pixels, shape, labels, targets } = self.batch;
        let targets = match targets {
            Some(soft) => {
                let shape = [count, soft.len() / count];
                Targets::Soft(Tensor::from_data(TensorData::new(soft, shape), device))
            }
            None => {
                let classes: Vec<i64> = labels.into_iter().map(|label| label as i64).collect();
                Targets::Classes(Tensor::from_data(TensorData::new(classes, [count]), device))
            }
        };
        let scale = |factors| Tensor::from_data(TensorData::new(factors, [count, 1, 1]), device);
        let branches = self.branches.map(|layers| {
            let scales = layers.into_iter().map(|Factors { attention, mlp }| BranchScales {
                attention: scale(attention),
                mlp: scale(mlp),
            });
            scales.collect()
        });
        ImageBatch {
            images: Tensor::from_data(TensorData::new(pixels, shape), device),
            goal: Goal { targets, lesson: None, weight: self.weight },
            branches,
            part: self.part,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_parts(images: usize, count: usize, want: &[usize]) {
        let batch = Batch {
            pixels: (0..images * 3).map(|value| value as f32).collect(),
            shape: [images, 3, 1, 1],
            labels: (0..images).collect(),
            targets: Some((0..images * 2).map(|value| value as f32).collect()),
        };
        let factors = (0..images).map(|image| image as f32).collect::<Vec<_>>();
        let branches = Some(vec![Factors { attention: factors.clone(), mlp: factors }]);
        let whole = HostBatch::new(batch, branches);
        let parts = whole.clone().into_parts(count);
        assert_eq!(parts.iter().map(HostBatch::len).collect::<Vec<_>>(), want);
        let pixels = parts.iter().flat_map(|part| part.batch.pixels.clone());
        assert_eq!(pixels.collect::<Vec<_>>(), whole.batch.pixels);
        let labels = parts.iter().flat_map(|part| part.batch.labels.clone());
        assert_eq!(labels.collect::<Vec<_>>(), whole.batch.labels);
        let targets = |batch: &HostBatch| batch.batch.targets.clone().expect("given");
        assert_eq!(parts.iter().flat_map(targets).collect::<Vec<_>>(), targets(&whole));
        let factors = |batch: &HostBatch| batch.branches.as_ref().expect("given")[0].mlp.clone();
        let of_parts: Vec<f32> = parts.iter().flat_map(factors).collect();
        assert_eq!(of_parts, factors(&whole));
        assert!((parts.iter().map(|part| part.weight).sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn parts_are_equal_where_they_can_be_and_never_empty() {
        check_parts(8, 4, &[2, 2, 2, 2]);
        check_parts(7, 2, &[3, 4]);
        check_parts(2, 3, &[1, 1]);
        check_parts(5, 1, &[5]);
    }
}
