//! The process-wide switch, in a process of its own.

use burn::tensor::{Device, Tensor, activation};
use learngene_kernels::{fused, gelu, set_fused};

#[test]
fn the_switch_chooses_between_the_fused_path_and_burn() {
    let inputs: Vec<f32> = (0..1000).map(|i| i as f32 * 0.01 - 5.0).collect();
    let x = Tensor::<1>::from_floats(inputs.as_slice(), &Device::flex());
    let of_burn = activation::gelu(x.clone()).to_data();

    assert!(fused(), "the fused path is on at the start");
    // Burn's erf is another approximation: over many inputs the two round differently somewhere.
    assert_ne!(gelu(x.clone()).to_data(), of_burn);

    set_fused(false);
    assert!(!fused());
    assert_eq!(gelu(x.clone()).to_data(), of_burn);

    set_fused(true);
    assert_ne!(gelu(x).to_data(), of_burn);
}
