//! Times every operation with and without fusion: median milliseconds of forward, and of forward
//! and backward together, at the sizes of a small vision transformer.
//!
//! ```text
//! cargo run --release -p learngene-kernels --example opbench
//! ```

use std::{hint::black_box, time::Instant};

use burn::tensor::{Device, Distribution, Tensor};
use learngene_kernels::{attention, biased_attention, gelu, layer_norm, set_fused, softmax};

const REPETITIONS: usize = 31;

fn main() {
    println!("{:<46} {:>21} {:>21}", "", "forward", "forward + backward");
    println!(
        "{:<46} {:>10} {:>10} {:>10} {:>10}",
        "milliseconds", "burn", "fused", "burn", "fused"
    );
    compare("gelu", [64, 65, 768], gelu);
    compare("softmax", [64, 8, 65, 65], |x| softmax(x, 0.125));
    compare("layer_norm", [64, 65, 128], |x| {
        let [_, _, embed_dim] = x.dims();
        let weight = Tensor::ones([embed_dim], &x.device());
        let bias = Tensor::zeros([embed_dim], &x.device());
        layer_norm(x, weight, bias, 1e-6)
    });
    compare("attention of 8 heads", [64, 65, 3 * 128], |qkv| attention(qkv, 8));
    compare("attention of 3 heads", [4, 197, 3 * 192], |qkv| attention(qkv, 3));
    for (windows, shape) in [(64, [64 * 64, 16, 3 * 48]), (64, [4 * 64, 49, 3 * 96])] {
        for groups in [1, windows] {
            compare(&format!("biased attention, {groups} groups"), shape, |qkv| {
                let [_, seq, _] = qkv.dims();
                let device = qkv.device();
                let bias = Tensor::zeros([groups, 3, seq, seq], &device);
                let bias = if device.is_autodiff() { bias.require_grad() } else { bias };
                biased_attention(qkv, bias, 3)
            });
        }
        compare("attention of the same windows", shape, |qkv| attention(qkv, 3));
    }
}

/// Prints one line: burn and fused in turns, so that a busy machine slows both.
fn compare<const D: usize>(
    name: &str,
    shape: [usize; D],
    operation: impl Fn(Tensor<D>) -> Tensor<D>,
) {
    let device = Device::flex();
    let x = Tensor::<D>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let tracked = Tensor::<D>::from_data(x.to_data(), &device.autodiff()).require_grad();

    let mut seconds = [[(); 2]; 2].map(|row| row.map(|()| Vec::with_capacity(REPETITIONS)));
    for _ in 0..REPETITIONS {
        for (path, seconds) in seconds.iter_mut().enumerate() {
            set_fused(path == 1);
            seconds[0].push(time(|| {
                black_box(operation(x.clone()));
            }));
            seconds[1].push(time(|| {
                let gradients = operation(tracked.clone()).backward();
                black_box(tracked.grad(&gradients));
            }));
        }
    }
    let [[burn, burn_both], [fused, fused_both]] = seconds.map(|path| path.map(median));
    println!(
        "{:<46} {:>10.2} {:>10.2} {:>10.2} {:>10.2}",
        format!("{name} {shape:?}"),
        burn * 1e3,
        fused * 1e3,
        burn_both * 1e3,
        fused_both * 1e3
    );
}

fn time(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
