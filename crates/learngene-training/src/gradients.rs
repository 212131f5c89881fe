//! Gradients of one step, accumulated over micro-batches on one or several devices.

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
    error::Result,
    host_batch::HostBatch,
    image_batch::ImageBatch,
    student::{PartLoss, Student},
    teacher::Teacher,
};

/// The devices that compute gradients, and how many images each takes at a time.
pub(crate) struct Passes<C: Classifier + 'static> {
    /// The first holds the parameters and the optimiser.
    devices: Vec<Device>,
    /// The teacher on each device, if there is one.
    teachers: Vec<Teacher>,
    /// burn-train's workers, one for each device, if there are several.
    workers: Option<MultiDevicesTrainStep<Student<C>>>,
    /// Images that a device takes at once, at most.
    micro_batch_size: NonZeroUsize,
}

impl<C: Classifier + 'static> Passes<C> {
    /// Computes on these devices with autodiff, at least one.
    pub(crate) fn new(devices: Vec<Device>, micro_batch_size: NonZeroUsize) -> Self {
        let workers = (devices.len() > 1).then(|| MultiDevicesTrainStep::new(&devices));
        Self { devices, teachers: Vec::new(), workers, micro_batch_size }
    }

    /// Has the student learn the outputs of a teacher too.
    pub(crate) fn with_teacher(self, teacher: &Teacher) -> Self {
        let devices = self.devices.iter();
        let teachers = devices.map(|device| teacher.on(&device.clone().inner())).collect();
        Self { teachers, ..self }
    }

    /// Gradients of the mean loss of a batch, and that loss, `[1]`, both on the first device.
    ///
    /// Each part is weighted by its number of images, so the sum over the parts equals the result for
    /// the whole batch but for rounding. Parts are summed in their order in the batch.
    ///
    /// # Errors
    /// When a worker fails; never on a single device.
    pub(crate) fn gradients(
        &self,
        student: &Student<C>,
        batch: HostBatch,
    ) -> Result<(GradientsParams, Tensor<1>)> {
        let count = self.devices.len();
        let rounds = batch.len().div_ceil(count * self.micro_batch_size.get());
        let parts = batch.into_parts(count * rounds);
        let mut parts = parts.into_iter().zip((0..count).cycle());
        let Some(workers) = &self.workers else {
            let step = |part| student.step(self.upload(part));
            return Ok(self.sum(student, parts.map(step)));
        };
        let mut outputs = Vec::new();
        for _ in 0..rounds {
            let round = parts.by_ref().take(count);
            let mut round: Vec<_> = round.map(|part| Once::boxed(self.upload(part))).collect();
            round.resize_with(count, Once::nothing);
            let (of_round, _) = workers.step(&mut round, student)?;
            outputs.extend(of_round.into_iter().map(|worker| worker.output));
        }
        // Workers finish in any order, but the sum of floats depends on the order.
        outputs.sort_by_key(|output| output.item.part);
        Ok(self.sum(student, outputs.into_iter()))
    }

    /// Brings a part to one of the devices, where the teacher sees it first.
    fn upload(&self, (part, device): (HostBatch, usize)) -> ImageBatch {
        let mut batch = part.upload(&self.devices[device]);
        batch.goal.lesson = self.teachers.get(device).map(|of| of.lesson(&batch.images));
        batch
    }

    fn sum(
        &self,
        student: &Student<C>,
        mut outputs: impl Iterator<Item = TrainOutput<PartLoss>>,
    ) -> (GradientsParams, Tensor<1>) {
        let main = &self.devices[0];
        let on_main = |output: TrainOutput<PartLoss>| match self.workers {
            None => (output.grads, output.item.loss),
            Some(_) => (
                output.grads.to_device(&main.clone().inner(), student),
                output.item.loss.to_device(&main.clone().inner()),
            ),
        };
        let (first, mut loss) = on_main(outputs.next().expect("a batch has images"));
        let Some(second) = outputs.next() else { return (first, loss) };
        let mut gradients = GradientsAccumulator::new();
        gradients.accumulate(student, first);
        for output in std::iter::once(second).chain(outputs) {
            let (of_part, loss_of_part) = on_main(output);
            gradients.accumulate(student, of_part);
            loss = loss + loss_of_part;
        }
        (gradients.grads(), loss)
    }
}

/// A loader of one batch or none, from which a worker takes its batch.
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
