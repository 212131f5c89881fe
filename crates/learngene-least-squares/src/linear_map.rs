use ndarray::{Array1, Array2, Axis, s};

/// `output = input weight + bias`
#[derive(Clone, Debug, PartialEq)]
pub struct LinearMap {
    /// `[inputs, outputs]`
    pub weight: Array2<f64>,
    /// `[outputs]`
    pub bias: Array1<f64>,
}

impl LinearMap {
    /// A linear layer as checkpoints have it: weight `[outputs, inputs]`, row-major, and bias
    /// `[outputs]`.
    pub fn from_rows(weight: &[f32], bias: &[f32]) -> Self {
        let inputs = weight.len() / bias.len();
        let weight = Array2::from_shape_fn((inputs, bias.len()), |(input, output)| {
            f64::from(weight[output * inputs + input])
        });
        Self { weight, bias: bias.iter().copied().map(f64::from).collect() }
    }

    /// Weight and bias as [`LinearMap::from_rows`] takes them.
    pub fn to_rows(&self) -> [Vec<f32>; 2] {
        [narrow(self.weight.t().iter()), narrow(self.bias.iter())]
    }

    /// Weight `[inputs, outputs]`, row-major, and bias `[outputs]`.
    pub fn to_columns(&self) -> [Vec<f32>; 2] {
        [narrow(self.weight.iter()), narrow(self.bias.iter())]
    }

    /// The map of the first inputs alone.
    pub fn of_first(&self, inputs: usize) -> Self {
        Self { weight: self.weight.slice(s![..inputs, ..]).to_owned(), bias: self.bias.clone() }
    }

    /// The map of some inputs alone.
    pub fn of_inputs(&self, inputs: &[usize]) -> Self {
        Self { weight: self.weight.select(Axis(0), inputs), bias: self.bias.clone() }
    }

    /// The map whose numbers went through a narrower format and came back.
    pub fn rounded(&self, round: impl Fn(Vec<f32>) -> Vec<f32>) -> Self {
        let [weight, bias] = self.to_columns();
        let wide = |values: Vec<f32>| round(values).into_iter().map(f64::from).collect::<Vec<_>>();
        let weight = Array2::from_shape_vec(self.weight.dim(), wide(weight));
        Self { weight: weight.expect("rounding keeps every value"), bias: wide(bias).into() }
    }
}

fn narrow<'a>(values: impl Iterator<Item = &'a f64>) -> Vec<f32> {
    values.map(|value| *value as f32).collect()
}
