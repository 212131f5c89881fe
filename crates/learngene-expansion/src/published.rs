//! Faults of the paper's published code, replayed on a descendant to measure what they cost.

use learngene_format::Fault;
use learngene_models::{HostTensor, ModelConfig, StateDict};

use crate::{ExpansionError, init::uniform_within};

/// Checks that the faults of a learngene are those asked for: it is neither taken for a sound one,
/// nor a sound one for it.
///
/// Faults of what comes after a learngene are left to whoever asks.
pub(crate) fn check(of_learngene: &[Fault], asked: &[Fault]) -> Result<(), ExpansionError> {
    let absent = |from: &[Fault], fault: &Fault| fault.is_of_learngene() && !from.contains(fault);
    if let Some(fault) = of_learngene.iter().find(|fault| absent(asked, fault)) {
        return Err(ExpansionError::FaultNotAsked { fault: *fault });
    }
    if let Some(fault) = asked.iter().find(|fault| absent(of_learngene, fault)) {
        return Err(ExpansionError::FaultAbsent { fault: *fault });
    }
    Ok(())
}

/// Loses the biases of query, key and value: they are zero.
pub(crate) fn lose_biases(parameters: &mut StateDict, config: &ModelConfig) {
    for layer in 0..config.depth() {
        let name = format!("{}.attn.qkv.bias", config.block(layer));
        replace(parameters, &name, |bias| bias.fill(0.0));
    }
}

/// Sends every weight of every feed-forward network through a random network of its own, over its
/// columns: `W' = relu(W A + a) B + b`, with `A`, `B` `[in, in]` and `a`, `b` `[in]` drawn as PyTorch
/// draws those of `nn.Linear`, uniform within `1 / sqrt(in)`.
///
/// That is what the published code's transformation does before it has learnt, and it never learns.
pub(crate) fn destroy_ffns(parameters: &mut StateDict, config: &ModelConfig, seed: u64) {
    for layer in 0..config.depth() {
        let shape = config.layer(layer);
        for (tensor, inputs) in [("fc1", shape.embed_dim), ("fc2", shape.mlp_hidden_dim)] {
            let name = format!("{}.mlp.{tensor}.weight", config.block(layer));
            let network = RandomNetwork::new(&name, inputs, seed);
            replace(parameters, &name, |weight| network.apply(weight));
        }
    }
}

fn replace(parameters: &mut StateDict, name: &str, change: impl FnOnce(&mut [f32])) {
    let HostTensor { shape, mut values } =
        parameters.remove(name).expect("a descendant has every parameter of its shape");
    change(&mut values);
    parameters.insert(name, HostTensor::new(shape, values));
}

/// Linear, ReLU, linear, all as wide as the input.
struct RandomNetwork {
    /// `[in, in]` and `[in]`, each.
    linears: [(Vec<f32>, Vec<f32>); 2],
    width: usize,
}

impl RandomNetwork {
    /// Each of its parameters has a random stream of its own, given by the seed and the name of the
    /// weight that it changes.
    fn new(of: &str, width: usize, seed: u64) -> Self {
        let bound = 1.0 / (width as f64).sqrt();
        let linear = |index: usize| {
            let draw = |part: &str, count| {
                uniform_within(&format!("published.{of}.{index}.{part}"), seed, bound, count)
            };
            (draw("weight", width * width), draw("bias", width))
        };
        Self { linears: [linear(0), linear(1)], width }
    }

    /// # Shapes
    /// - rows: `[out, in]`
    fn apply(&self, rows: &mut [f32]) {
        let [first, second] = &self.linears;
        for row in rows.chunks_exact_mut(self.width) {
            let mut hidden = product(row, first);
            hidden.iter_mut().for_each(|value| *value = value.max(0.0));
            row.copy_from_slice(&product(&hidden, second));
        }
    }
}

/// `x W + b`, row by row of `W`, in the order of its inputs.
fn product(inputs: &[f32], (weight, bias): &(Vec<f32>, Vec<f32>)) -> Vec<f32> {
    let mut outputs = bias.clone();
    for (input, row) in inputs.iter().zip(weight.chunks_exact(inputs.len())) {
        outputs.iter_mut().zip(row).for_each(|(output, weight)| *output += input * weight);
    }
    outputs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: `relu([1, 2] A + a) = relu([-1, 5])`, `[0, 5] B + b`.
    #[test]
    fn a_weight_goes_through_linear_relu_linear() {
        let first = (vec![1.0, -1.0, -2.0, 3.0], vec![2.0, 0.0]);
        let second = (vec![7.0, 7.0, 1.0, -1.0], vec![0.5, 0.25]);
        let network = RandomNetwork { linears: [first, second], width: 2 };
        let mut weight = [1.0, 2.0];
        network.apply(&mut weight);
        assert_eq!(weight, [5.5, -4.75]);
    }

    #[test]
    fn networks_are_drawn_within_pytorchs_bound() {
        let network = RandomNetwork::new("blocks.0.mlp.fc1.weight", 25, 3);
        let [(weight, bias), (other, _)] = &network.linears;
        assert_eq!((weight.len(), bias.len()), (625, 25));
        let most = weight.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        assert!(most <= 0.2 && most > 0.19, "{most}");
        assert_ne!(weight, other);
        let again = RandomNetwork::new("blocks.0.mlp.fc1.weight", 25, 3);
        assert_eq!(again.linears, network.linears);
    }
}
