//! The process-wide switch, in a process of its own.

use burn::tensor::{Device, Tensor, Tolerance, activation};
use learngene_kernels::{fused, gelu, set_fused};

#[test]
fn the_switch_chooses_between_the_fused_path_and_burn() {
    let inputs: Vec<f32> = (0..1000).map(|i| i as f32 * 0.01 - 5.0).collect();
    let x = Tensor::<1>::from_floats(inputs.as_slice(), &Device::flex());
    assert!(fused(), "the fused path is on at the start");
    let of_fused = gelu(x.clone()).to_data();

    set_fused(false);
    assert!(!fused());
    // The two round differently somewhere, over so many inputs, but nowhere by much.
    let of_plain = gelu(x.clone()).to_data();
    assert_ne!(of_plain, of_fused);
    of_plain
        .assert_approx_eq::<f32>(&activation::gelu(x.clone()).to_data(), Tolerance::absolute(1e-6));

    set_fused(true);
    assert_eq!(gelu(x).to_data(), of_fused);
}
