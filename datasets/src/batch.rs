//! Images of a dataset as one block of numbers.

/// Some images, ready to be a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Normalised pixels, `[batch, 3, image_size, image_size]`.
    pub pixels: Vec<f32>,
    /// Shape of `pixels`.
    pub shape: [usize; 4],
    /// Class of every image, `[batch]`; empty when the dataset is unlabelled.
    pub labels: Vec<usize>,
    /// Soft targets, `[batch, classes]`, of a batch whose images were [mixed](Self::mix).
    pub targets: Option<Vec<f32>>,
}
