/// The mean attention distance of every head on every image of a probe.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageDistances {
    num_heads: Vec<usize>,
    /// `[image][head of all layers]`, in pixels.
    values: Vec<f32>,
}

impl ImageDistances {
    pub(crate) fn new(num_heads: Vec<usize>) -> Self {
        Self { num_heads, values: Vec::new() }
    }

    /// Takes a batch of finite distances, `[layers][batch][num_heads of the layer]`, flattened.
    pub(crate) fn push(&mut self, distances: &[f32], batch: usize) {
        for image in 0..batch {
            let mut start = 0;
            for heads in &self.num_heads {
                self.values.extend(&distances[start + image * heads..][..*heads]);
                start += batch * heads;
            }
        }
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.values.len() / self.num_heads.iter().sum::<usize>()
    }

    /// Heads of each layer.
    pub fn num_heads(&self) -> &[usize] {
        &self.num_heads
    }

    /// `[layer][head]`: mean over these images, of which one may be named several times, in pixels.
    ///
    /// # Panics
    /// If there is no such image, or none is named.
    pub fn mean_of(&self, images: &[usize]) -> Vec<Vec<f64>> {
        assert!(!images.is_empty(), "nothing has no mean");
        let heads: usize = self.num_heads.iter().sum();
        let mut sums = vec![0.0; heads];
        for image in images {
            let values = &self.values[image * heads..][..heads];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        let mut means = sums.into_iter().map(|sum| sum / images.len() as f64);
        self.num_heads.iter().map(|heads| means.by_ref().take(*heads).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_become_images() {
        let mut images = ImageDistances::new(vec![2, 1]);
        images.push(&[1.0, 10.0, 2.0, 20.0, 5.0, 6.0], 2);
        images.push(&[6.0, 30.0, 7.0], 1);
        assert_eq!(images.images(), 3);
        assert_eq!(images.mean_of(&[1]), [vec![2.0, 20.0], vec![6.0]]);
        assert_eq!(images.mean_of(&[0, 1, 2]), [vec![3.0, 20.0], vec![6.0]]);
        assert_eq!(images.mean_of(&[0, 2, 2, 2]), [vec![4.75, 25.0], vec![6.5]]);
    }
}
