use learngene_format::{Dtype, Learngene, Tensor};
use ndarray::{Array1, Array2, Axis, s};

use crate::error::ClusteringError;

/// `output = input weight + bias`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LinearMap {
    /// `[inputs, outputs]`
    pub weight: Array2<f64>,
    /// `[outputs]`
    pub bias: Array1<f64>,
}

impl LinearMap {
    /// The output projection of all centroids of a layer.
    pub fn projection(learngene: &Learngene, layer: usize) -> Self {
        let columns = stored(learngene, &format!("layers.{layer}.attn.proj.weight"));
        let [heads, outputs, head_dim] = columns.shape()[..] else {
            unreachable!("the format's columns are [centroids, embed_dim, head_dim]")
        };
        let values = columns.to_f32();
        let weight = Array2::from_shape_fn((heads * head_dim, outputs), |(input, output)| {
            let (head, dim) = (input / head_dim, input % head_dim);
            f64::from(values[(head * outputs + output) * head_dim + dim])
        });
        Self { weight, bias: bias(learngene, &format!("layers.{layer}.attn.proj.bias")) }
    }

    /// The second matrix of a group's feed-forward network.
    pub fn second(learngene: &Learngene, group: usize) -> Self {
        let [weight, bias] = ["weight", "bias"]
            .map(|kind| stored(learngene, &format!("ffn.{group}.fc2.{kind}")).to_f32());
        Self::from_rows(&weight, &bias)
    }

    /// A linear layer as checkpoints have it: weight `[outputs, inputs]`, row-major, and bias
    /// `[outputs]`.
    pub fn from_rows(weight: &[f32], bias: &[f32]) -> Self {
        let inputs = weight.len() / bias.len();
        let weight = Array2::from_shape_fn((inputs, bias.len()), |(input, output)| {
            f64::from(weight[output * inputs + input])
        });
        Self { weight, bias: bias.iter().copied().map(f64::from).collect() }
    }

    /// The map of the first inputs alone.
    pub fn of_first(&self, inputs: usize) -> Self {
        Self { weight: self.weight.slice(s![..inputs, ..]).to_owned(), bias: self.bias.clone() }
    }

    /// The map of some inputs alone.
    pub fn of_inputs(&self, inputs: &[usize]) -> Self {
        Self { weight: self.weight.select(Axis(0), inputs), bias: self.bias.clone() }
    }

    /// Every number as a file of that format can hold it.
    pub fn rounded(&self, dtype: Dtype) -> Result<Self, ClusteringError> {
        let round = |values: Vec<f32>| -> Result<Vec<f64>, ClusteringError> {
            let stored = Tensor::from_f32(dtype, vec![values.len()], &values)?;
            Ok(stored.to_f32().into_iter().map(f64::from).collect())
        };
        let weight = round(narrow(self.weight.iter()))?;
        let weight = Array2::from_shape_vec(self.weight.dim(), weight).expect("as many values");
        Ok(Self { weight, bias: round(narrow(self.bias.iter()))?.into() })
    }

    /// Weight and bias as burn has them: `[inputs, outputs]`, row-major, and `[outputs]`.
    pub fn values(&self) -> [Vec<f32>; 2] {
        [narrow(self.weight.iter()), narrow(self.bias.iter())]
    }

    /// Columns of each head, `[heads, outputs, head_dim]`, and the bias.
    pub fn columns(&self, heads: usize, dtype: Dtype) -> Result<[Tensor; 2], ClusteringError> {
        let (inputs, outputs) = self.weight.dim();
        let head_dim = inputs / heads;
        let columns = Array2::from_shape_fn((heads * outputs, head_dim), |(row, dim)| {
            self.weight[[row / outputs * head_dim + dim, row % outputs]]
        });
        let shape = vec![heads, outputs, head_dim];
        let columns = Tensor::from_f32(dtype, shape, &narrow(columns.iter()))?;
        Ok([columns, self.bias_tensor(dtype)?])
    }

    /// The matrix as a checkpoint has it, `[outputs, inputs]`, and the bias.
    pub fn rows(&self, dtype: Dtype) -> Result<[Tensor; 2], ClusteringError> {
        let (inputs, outputs) = self.weight.dim();
        let rows = narrow(self.weight.t().iter());
        let rows = Tensor::from_f32(dtype, vec![outputs, inputs], &rows)?;
        Ok([rows, self.bias_tensor(dtype)?])
    }

    fn bias_tensor(&self, dtype: Dtype) -> Result<Tensor, ClusteringError> {
        Ok(Tensor::from_f32(dtype, vec![self.bias.len()], &narrow(self.bias.iter()))?)
    }
}

fn stored<'a>(learngene: &'a Learngene, name: &str) -> &'a Tensor {
    learngene.tensor(name).expect("the format has this tensor of every layer and group")
}

fn bias(learngene: &Learngene, name: &str) -> Array1<f64> {
    stored(learngene, name).to_f32().into_iter().map(f64::from).collect()
}

fn narrow<'a>(values: impl Iterator<Item = &'a f64>) -> Vec<f32> {
    values.map(|value| *value as f32).collect()
}
