//! How long models of other sizes take on a device, by what layers of some sizes take.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};
use learngene_shape::{ImageShape, LayerSizes, Reshape, Shape};
use learngene_tensors::{Error, Result};

use crate::{Classifier, Model};

/// Runs before any is timed: on a GPU they compile kernels.
const WARM_UP: usize = 3;

/// Runs of one model that are timed, at least.
const RUNS: usize = 11;

/// Time that all runs of one model take, at least.
const LONG: Duration = Duration::from_millis(700);

/// Parts of its heads or hidden units with which a stage is timed.
const PARTS: [f64; 4] = [0.0, 0.125, 0.25, 0.5];

/// Times of one image through a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// Median of the runs.
    pub median: Duration,
    /// Distance of the quartiles from each other, in parts of the median.
    pub noise: f64,
}

/// Predicts how long one image takes through models of a shape with fewer layers, heads and hidden units.
///
/// Whole models are timed in which the layers of one stage are smaller; what that saves is a layer's share,
/// and between the sizes that were timed it is interpolated. The sum over layers is the model's work, in
/// nanoseconds. How long so much work takes is known of the whole model, and of smaller ones after
/// [`Latency::calibrate`]: small models may fit a cache that large ones do not.
#[derive(Clone, Debug)]
pub struct Latency {
    /// Of the whole model.
    whole: Timed,
    /// Work of what is no layer.
    rest: f64,
    stages: Vec<Stage>,
    /// Work of models and their time in nanoseconds, both rising.
    times: Vec<(f64, f64)>,
}

/// Work of one layer of a stage.
#[derive(Clone, Debug)]
struct Stage {
    /// With all heads and hidden units.
    layer: f64,
    /// By the number of heads, in rising order: how much less it is.
    heads: Vec<(f64, f64)>,
    /// The same by the number of hidden units.
    hidden: Vec<(f64, f64)>,
}

impl Latency {
    /// Times models of a shape and of smaller ones on a device; `progress` is called with the number of models
    /// timed, and of all.
    ///
    /// # Errors
    /// A device that fails.
    pub fn measure(
        shape: &Shape,
        device: &Device,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Self> {
        let total = 1 + shape.stages().iter().map(|_| 1 + 2 * PARTS.len()).sum::<usize>();
        let mut done = 0;
        Self::by(shape, |shape| {
            let timed = time(&Model::init(shape, device));
            done += 1;
            progress(done, total);
            timed
        })
    }

    fn by(shape: &Shape, mut time: impl FnMut(&Shape) -> Result<Timed>) -> Result<Self> {
        let whole = time(shape)?;
        let nanos = |timed: Timed| timed.median.as_nanos() as f64;
        let all = shape.layer_sizes();
        let mut stages = Vec::new();
        for stage in shape.stages() {
            let count = stage.len() as f64;
            let mut saves = |change: &dyn Fn(&mut LayerSizes)| -> Result<f64> {
                let mut sizes = all.clone();
                sizes[stage.clone()].iter_mut().for_each(change);
                Ok((nanos(whole) - nanos(time(&shape.with_layer_sizes(&sizes)?)?)) / count)
            };
            let first = all[stage.start];
            let (mut heads, mut hidden) = (Vec::new(), Vec::new());
            for part in PARTS {
                let of = |all: usize| ((all as f64 * part).round() as usize).max(1);
                let (fewer, narrower) = (of(first.num_heads), of(first.hidden_dim));
                heads.push((fewer, saves(&|sizes| sizes.num_heads = fewer)?));
                hidden.push((narrower, saves(&|sizes| sizes.hidden_dim = narrower)?));
            }
            let (heads, hidden) =
                (falling(heads, first.num_heads), falling(hidden, first.hidden_dim));
            let least = heads[0].1 + hidden[0].1;
            let layer = if stage.len() == 1 {
                least
            } else {
                let mut layers: Vec<Vec<LayerSizes>> =
                    shape.stages().into_iter().map(|stage| all[stage].to_vec()).collect();
                layers[stages.len()].truncate(1);
                let reshape = Reshape { layers: Some(layers), ..Reshape::default() };
                let one = time(&shape.reshaped(&reshape)?)?;
                ((nanos(whole) - nanos(one)) / (count - 1.0)).max(least)
            };
            stages.push((count, Stage { layer, heads, hidden }));
        }
        let of_layers: f64 = stages.iter().map(|(count, stage)| count * stage.layer).sum();
        let rest = (nanos(whole) - of_layers).max(0.0);
        let stages = stages.into_iter().map(|(_, stage)| stage).collect();
        let times = vec![(rest + of_layers, nanos(whole))];
        Ok(Self { whole, rest, stages, times })
    }

    /// Times some smaller models, so that those like them are predicted well.
    ///
    /// # Errors
    /// A device that fails.
    pub fn calibrate(mut self, shapes: &[Shape], device: &Device) -> Result<Self> {
        for shape in shapes {
            let timed = time(&Model::init(shape, device))?;
            self.times.push((self.work(shape) as f64, timed.median.as_nanos() as f64));
        }
        self.times.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        self.times.dedup_by_key(|(work, _)| *work);
        for at in 1..self.times.len() {
            self.times[at].1 = self.times[at].1.max(self.times[at - 1].1 + 1.0);
        }
        Ok(self)
    }

    /// Time of one image through a model with at most the layers, heads and hidden units that were timed.
    pub fn predict(&self, shape: &Shape) -> Duration {
        Duration::from_nanos(interpolated(&self.times, self.work(shape) as f64).round() as u64)
    }

    /// The most work that takes at most so long.
    pub fn work_within(&self, time: Duration) -> u64 {
        let swapped: Vec<(f64, f64)> =
            self.times.iter().map(|(work, time)| (*time, *work)).collect();
        interpolated(&swapped, time.as_nanos() as f64) as u64
    }

    /// Time of so much work.
    pub fn time_of(&self, work: u64) -> Duration {
        Duration::from_nanos(interpolated(&self.times, work as f64).round() as u64)
    }

    /// Work of a model: grows with each head and hidden unit of each layer, whatever the others are.
    pub fn work(&self, shape: &Shape) -> u64 {
        let of_layer = |layer: &learngene_shape::LayerShape| {
            let stage = &self.stages[layer.stage];
            let saved = interpolated(&stage.heads, layer.heads.num_heads as f64)
                + interpolated(&stage.hidden, layer.ffn.hidden_dim as f64);
            stage.layer - saved
        };
        let layers: f64 = shape.layers().iter().map(of_layer).sum();
        (self.rest + layers).round() as u64
    }

    /// What the whole model took.
    pub fn whole(&self) -> Timed {
        self.whole
    }
}

/// Times one image through a model.
///
/// # Errors
/// A device that fails.
pub fn time(model: &Model) -> Result<Timed> {
    let ImageShape { size, channels, .. } = model.shape().image();
    let image = Tensor::zeros([1, channels, size, size], &model.device());
    let run = || -> Result<Duration> {
        let start = Instant::now();
        let logits = model.forward(image.clone()).try_into_data();
        logits.map_err(|error| Error::invalid("device", error, "one that computes a model"))?;
        Ok(start.elapsed())
    };
    for _ in 0..WARM_UP {
        run()?;
    }
    let (mut times, start) = (Vec::new(), Instant::now());
    while times.len() < RUNS || start.elapsed() < LONG {
        times.push(run()?);
    }
    times.sort_unstable();
    let at = |part: f64| times[(part * (times.len() - 1) as f64).round() as usize];
    let median = at(0.5);
    let noise = (at(0.75) - at(0.25)).as_secs_f64() / median.as_secs_f64();
    Ok(Timed { median, noise })
}

/// Savings that fall to nothing with all of them, by at least a nanosecond for each, where what was timed
/// rises by chance.
fn falling(mut saved: Vec<(usize, f64)>, all: usize) -> Vec<(f64, f64)> {
    saved.dedup_by_key(|(count, _)| *count);
    saved.retain(|(count, _)| *count < all);
    saved.push((all, 0.0));
    for at in (0..saved.len() - 1).rev() {
        let (next, least) = saved[at + 1];
        saved[at].1 = saved[at].1.max(least + (next - saved[at].0) as f64);
    }
    saved.into_iter().map(|(count, saved)| (count as f64, saved)).collect()
}

/// The value at a place, on a line from each point to the next; before the first and behind the last one in
/// proportion to the place.
fn interpolated(points: &[(f64, f64)], place: f64) -> f64 {
    let after = points.partition_point(|(at, _)| *at < place);
    match (points.get(after.wrapping_sub(1)), points.get(after)) {
        (Some((from, low)), Some((to, high))) => low + (place - from) / (to - from) * (high - low),
        (Some((at, value)), None) | (None, Some((at, value))) if *at > 0.0 => value * place / at,
        (Some((_, value)), _) | (_, Some((_, value))) => *value,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use learngene_shape::{Family, Swin, Vit};

    use super::*;

    /// A time for each parameter.
    fn linear(shape: &Shape) -> Result<Timed> {
        Ok(Timed { median: Duration::from_nanos(1_000 * shape.count_parameters()), noise: 0.0 })
    }

    fn check(shape: &Shape, smaller: &Shape) {
        let latency = Latency::by(shape, linear).expect("all shapes are possible");
        for shape in [shape, smaller] {
            let (got, want) = (latency.predict(shape), linear(shape).expect("possible").median);
            let apart = got.abs_diff(want);
            assert!(apart < want / 1000, "{got:?}, expected {want:?}");
        }
    }

    #[test]
    fn a_time_that_is_linear_in_sizes_is_predicted() {
        let whole = Vit::new(24, vec![4; 6], 6, vec![96; 6]);
        let smaller = Vit {
            num_classes: whole.num_classes,
            ..Vit::new(24, vec![3, 1, 4], 6, vec![10, 96, 50])
        };
        check(&whole.shape().expect("possible"), &smaller.shape().expect("possible"));
        let swin = Swin::uniform(8, &[2, 4], &[2, 4]);
        let smaller = Swin::uniform(8, &[1, 3], &[2, 4]);
        check(&swin.shape().expect("possible"), &smaller.shape().expect("possible"));
    }

    #[test]
    fn times_grow_with_sizes_even_where_noise_says_otherwise() {
        let shape = Vit::new(24, vec![4; 3], 6, vec![64; 3]).shape().expect("possible");
        let mut count = 0;
        let noise = |_: &Shape| {
            count = (count * 7 + 3) % 11;
            Ok(Timed { median: Duration::from_micros(100 + count), noise: 0.1 })
        };
        let latency = Latency::by(&shape, noise).expect("all shapes are possible");
        let time = |heads, hidden| {
            let vit = Vit::new(24, vec![heads; 3], 6, vec![hidden; 3]);
            latency.predict(&vit.shape().expect("possible"))
        };
        assert!((1..4).all(|heads| time(heads, 64) < time(heads + 1, 64)));
        assert!((1..64).all(|hidden| time(4, hidden) < time(4, hidden + 1)));
    }
}
