/// A dense `f32` tensor on the host, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The elements; as many as the product of `shape`.
    pub values: Vec<f32>,
}

impl Tensor {
    /// A tensor of the given shape and values.
    ///
    /// # Panics
    /// Panics when the number of values is not the product of the shape.
    pub fn new(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        let (shape, count) = (shape.into(), values.len());
        let wanted = shape.iter().product::<usize>();
        assert_eq!(wanted, count, "{shape:?} does not hold {count} values");
        Self { shape, values }
    }

    /// A tensor of zeros.
    pub fn zeros(shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        let values = vec![0.0; shape.iter().product()];
        Self { shape, values }
    }
}
