//! Gradients of one step: a batch in as many passes as memory asks for, on as many devices as there
//! are.

use std::num::NonZeroUsize;

use burn::{
    data::{
        dataloader::{DataLoaderIterator, Progress},
        dataset::DatasetError as BurnDatasetError,
    },
    optim::{GradientsAccumulator, GradientsParams},
    tensor::{Device, Tensor},
};
use burn_train::{TrainOutput, TrainStep, train::MultiDevicesTrainStep};
use learngene_models::Classifier;

use crate::{
    TrainingError,
    host_batch::HostBatch,
    trainee::{ImageBatch, PartLoss, Trainee},
};

/// Where gradients are computed, and how many images at a time.
pub(crate) struct Passes<C: Classifier + 'static> {
    /// The first one has the parameters and the optimiser.
    devices: Vec<Device>,
    /// burn-train's workers, one for each device, where there are several.
    workers: Option<MultiDevicesTrainStep<Trainee<C>>>,
    /// The most images that a device takes at once.
    images_per_pass: NonZeroUsize,
}

impl<C: Classifier + 'static> Passes<C> {
    /// On these devices with autodiff, at least one.
    pub(crate) fn new(devices: Vec<Device>, images_per_pass: NonZeroUsize) -> Self {
        let workers = (devices.len() > 1).then(|| MultiDevicesTrainStep::new(&devices));
        Self { devices, workers, images_per_pass }
    }

    /// Gradients of the mean loss of a batch, and that loss, `[1]`, both on the first device.
    ///
    /// Each part is weighted by its images, so the sum over the parts is that of the batch at once,
    /// but for rounding; parts are summed in their order in the batch.
    ///
    /// # Errors
    /// When a worker fails. On one device nothing does, short of a panic.
    pub(crate) fn gradients(
        &self,
        trainee: &Trainee<C>,
        batch: HostBatch,
    ) -> Result<(GradientsParams, Tensor<1>), TrainingError> {
        let count = self.devices.len();
        let rounds = batch.len().div_ceil(count * self.images_per_pass.get());
        let parts = batch.into_parts(count * rounds);
        let mut parts = parts.into_iter().zip(self.devices.iter().cycle());
        let Some(workers) = &self.workers else {
            let step = |(part, device): (HostBatch, _)| trainee.step(part.upload(device));
            return Ok(self.sum(trainee, parts.map(step)));
        };
        let mut outputs = Vec::new();
        for _ in 0..rounds {
            let round = parts.by_ref().take(count);
            let mut round: Vec<_> =
                round.map(|(part, device)| Once::boxed(part.upload(device))).collect();
            round.resize_with(count, Once::nothing);
            let (of_round, _) = workers.step(&mut round, trainee)?;
            outputs.extend(of_round.into_iter().map(|worker| worker.output));
        }
        // Workers answer in the order in which they end, and sums of floats depend on the order.
        outputs.sort_by_key(|output| output.item.part);
        Ok(self.sum(trainee, outputs.into_iter()))
    }

    fn sum(
        &self,
        trainee: &Trainee<C>,
        mut outputs: impl Iterator<Item = TrainOutput<PartLoss>>,
    ) -> (GradientsParams, Tensor<1>) {
        let main = &self.devices[0];
        let on_main = |output: TrainOutput<PartLoss>| match self.workers {
            None => (output.grads, output.item.loss),
            Some(_) => (
                output.grads.to_device(&main.clone().inner(), trainee),
                output.item.loss.to_device(&main.clone().inner()),
            ),
        };
        let (first, mut loss) = on_main(outputs.next().expect("a batch has images"));
        let Some(second) = outputs.next() else { return (first, loss) };
        let mut gradients = GradientsAccumulator::new();
        gradients.accumulate(trainee, first);
        for output in std::iter::once(second).chain(outputs) {
            let (of_part, loss_of_part) = on_main(output);
            gradients.accumulate(trainee, of_part);
            loss = loss + loss_of_part;
        }
        (gradients.grads(), loss)
    }
}

/// A loader of one batch, or none: what a worker takes its batch from.
struct Once(Option<ImageBatch>);

impl Once {
    fn boxed(batch: ImageBatch) -> Box<dyn DataLoaderIterator<ImageBatch>> {
        Box::new(Self(Some(batch)))
    }

    fn nothing() -> Box<dyn DataLoaderIterator<ImageBatch>> {
        Box::new(Self(None))
    }
}

impl Iterator for Once {
    type Item = Result<ImageBatch, BurnDatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl DataLoaderIterator<ImageBatch> for Once {
    fn progress(&self) -> Progress {
        Progress::new(0, 1, None)
    }
}
