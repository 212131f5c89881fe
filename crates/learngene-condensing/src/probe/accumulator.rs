use learngene_tensors::{Error, Result};

/// Mean and spread of every head's attention distance over a stream of images.
///
/// Sums are kept in f64 by Welford's recurrence, so memory does not grow with the images, and the
/// result does not depend on how they are batched.
pub(super) struct DistanceAccumulator {
    num_heads: Vec<usize>,
    images: u64,
    /// Per head of all layers: mean so far.
    mean: Vec<f64>,
    /// Per head of all layers: sum of squared differences from the mean so far.
    squares: Vec<f64>,
}

/// What the images of a probe say about every head.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HeadStatistics {
    /// `[layer][head]`: mean over images, in pixels.
    pub mean: Vec<Vec<f64>>,
    /// `[layer][head]`: standard deviation (n - 1) over images, in pixels; none for one image.
    pub std: Vec<Vec<Option<f64>>>,
    /// Number of images.
    pub images: u64,
}

impl DistanceAccumulator {
    /// Starts with no image; `num_heads` is the number of heads of each layer.
    pub fn new(num_heads: Vec<usize>) -> Self {
        let heads = num_heads.iter().sum();
        Self { num_heads, images: 0, mean: vec![0.0; heads], squares: vec![0.0; heads] }
    }

    /// Takes the distances of a batch of images, in pixels.
    ///
    /// # Shapes
    /// - distances: `[layers][batch][num_heads of the layer]`, flattened in this order
    ///
    /// # Errors
    /// A value that is negative or not finite. The batch is then left out as a whole.
    pub fn push(&mut self, distances: &[f32], batch: usize) -> Result<()> {
        assert_eq!(distances.len(), batch * self.mean.len(), "one distance per head and image");
        let mut rest = distances;
        let mut layers = Vec::with_capacity(self.num_heads.len());
        for &num_heads in &self.num_heads {
            let (layer, later) = rest.split_at(batch * num_heads); // [batch, num_heads]
            layers.push(layer);
            rest = later;
        }
        for (layer, (values, &num_heads)) in layers.iter().zip(&self.num_heads).enumerate() {
            if let Some(at) = values.iter().position(|value| !value.is_finite() || *value < 0.0) {
                let (image, head) = (self.images + (at / num_heads) as u64, at % num_heads);
                let place =
                    format!("attention distance of layer {layer}, head {head} for image {image}");
                let found = format!("{} pixels", values[at]);
                return Err(Error::invalid(place, found, "a finite number of 0 or more"));
            }
        }

        for image in 0..batch {
            self.images += 1;
            let of_image = layers.iter().zip(&self.num_heads).flat_map(|(values, &num_heads)| {
                &values[image * num_heads..(image + 1) * num_heads]
            });
            for ((mean, squares), &value) in
                self.mean.iter_mut().zip(&mut self.squares).zip(of_image)
            {
                // m_n = m + (x - m) / n;  s_n = s + (x - m) (x - m_n).
                let before = f64::from(value) - *mean;
                *mean += before / self.images as f64;
                *squares += before * (f64::from(value) - *mean);
            }
        }
        Ok(())
    }

    /// Mean and standard deviation of every head.
    pub fn finish(self) -> HeadStatistics {
        let degrees = (self.images > 1).then(|| (self.images - 1) as f64);
        let std: Vec<Option<f64>> = self
            .squares
            .iter()
            .map(|squares| degrees.map(|degrees| (squares / degrees).sqrt()))
            .collect();
        HeadStatistics {
            mean: by_layer(&self.mean, &self.num_heads),
            std: by_layer(&std, &self.num_heads),
            images: self.images,
        }
    }
}

fn by_layer<T: Copy>(heads: &[T], num_heads: &[usize]) -> Vec<Vec<T>> {
    let mut rest = heads.iter().copied();
    num_heads.iter().map(|&num_heads| rest.by_ref().take(num_heads).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two layers of two and one heads, three images.
    const FIRST_TWO: [f32; 6] = [1.0, 10.0, 2.0, 20.0, 5.0, 5.0];
    const THIRD: [f32; 3] = [6.0, 30.0, 5.0];

    #[test]
    fn mean_and_spread_over_images() {
        let mut accumulator = DistanceAccumulator::new(vec![2, 1]);
        accumulator.push(&FIRST_TWO, 2).expect("two images");
        accumulator.push(&THIRD, 1).expect("one image");
        let statistics = accumulator.finish();
        assert_eq!(statistics.images, 3);
        assert_eq!(statistics.mean, [vec![3.0, 20.0], vec![5.0]]);
        // Head 0: (4 + 1 + 9) / 2; head 1: (100 + 0 + 100) / 2; no spread in layer 1.
        assert_eq!(statistics.std, [vec![Some(7.0_f64.sqrt()), Some(10.0)], vec![Some(0.0)]]);
    }

    #[test]
    fn one_image_has_no_spread() {
        let mut accumulator = DistanceAccumulator::new(vec![2, 1]);
        accumulator.push(&THIRD, 1).expect("one image");
        let statistics = accumulator.finish();
        assert_eq!(statistics.std, [vec![None, None], vec![None]]);
    }

    #[test]
    fn batching_changes_nothing() {
        let values: Vec<f32> = (0_u16..60).map(|i| f32::from(i * i % 97) / 7.0).collect();
        let mut whole = DistanceAccumulator::new(vec![3]);
        whole.push(&values, 20).expect("twenty images");
        let mut parts = DistanceAccumulator::new(vec![3]);
        parts.push(&values[..21], 7).expect("seven images");
        parts.push(&[], 0).expect("no image");
        parts.push(&values[21..], 13).expect("thirteen images");
        assert_eq!(whole.finish(), parts.finish());
    }

    #[test]
    fn a_small_spread_beside_a_large_mean_survives() {
        let mut accumulator = DistanceAccumulator::new(vec![1]);
        let values: Vec<f32> = (0..4096).map(|i| 4096.0 + f32::from(i % 2 == 0)).collect();
        accumulator.push(&values, 4096).expect("images");
        let std = accumulator.finish().std[0][0].expect("many images");
        assert!((std - (0.25_f64 * 4096.0 / 4095.0).sqrt()).abs() < 1e-12, "{std}");
    }

    #[test]
    fn a_value_that_is_no_distance_is_refused_with_its_place() {
        let mut accumulator = DistanceAccumulator::new(vec![2, 1]);
        accumulator.push(&THIRD, 1).expect("one image");
        let mut values = FIRST_TWO;
        values[3] = f32::NAN;
        let error = accumulator.push(&values, 2).expect_err("NaN");
        assert_eq!(
            error.to_string(),
            "attention distance of layer 0, head 1 for image 2: found NaN pixels, expected a finite \
             number of 0 or more"
        );
        assert_eq!(accumulator.images, 1, "the batch is left out as a whole");
    }
}
