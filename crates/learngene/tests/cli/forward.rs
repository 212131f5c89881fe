//! `learngene forward` against what PyTorch and timm computed.

use crate::{
    tensors::{Tensors, check_close},
    workbench::{TINY, Workbench, golden},
};

#[test]
fn timm_names() {
    check("vit_tiny_golden", "timm.safetensors", "3");
}

#[test]
fn a_deit_pth_file() {
    check("vit_tiny_golden", "deit.pth", "3");
}

#[test]
fn hugging_face_names() {
    check("vit_tiny_golden", "hf.safetensors", "3");
}

#[test]
fn another_number_of_heads_and_a_narrow_mlp() {
    check("vit_narrow_mlp_golden", "timm.safetensors", "4");
}

/// Runs a checkpoint on the input of its golden and compares logits and attention.
fn check(case: &str, checkpoint: &str, num_heads: &str) {
    let bench = Workbench::new();
    bench.lay(checkpoint, &golden(case).join(checkpoint));
    bench.lay("expected.safetensors", &golden(case).join("expected.safetensors"));
    bench.succeed(&format!(
        "forward --checkpoint {checkpoint} --num-heads {num_heads} --input expected.safetensors \
         --out out.safetensors --attention"
    ));

    let (got, want) = (
        Tensors::of(&bench.read("out.safetensors")),
        Tensors::of(&bench.read("expected.safetensors")),
    );
    let layers = got.0.keys().filter(|name| name.starts_with("attention.")).count();
    let last = format!("attention.{}", layers - 1);
    for (got_name, want_name, tolerance) in [
        ("logits", "logits", 1e-4),
        ("attention.0", "attention_layer0", 1e-5),
        (&last, "attention_last", 1e-5),
    ] {
        let ((shape, got), (want_shape, want)) = (got.get(got_name), want.get(want_name));
        assert_eq!(shape, want_shape, "{got_name}");
        check_close(got_name, &got, &want, tolerance);
    }
}

#[test]
fn without_attention_there_are_only_logits() {
    let bench = Workbench::new();
    bench.write("x.safetensors", Tensors::filled("input", &[2, 3, 32, 32], 0.5).to_bytes());
    bench.succeed(&format!("forward {TINY} --input x.safetensors --out y.safetensors"));
    let written = Tensors::of(&bench.read("y.safetensors"));
    assert_eq!(written.0.keys().collect::<Vec<_>>(), ["logits"]);
    assert_eq!(written.get("logits").0, [2, 7]);
}

#[test]
fn a_larger_input_interpolates_positions() {
    let bench = Workbench::new();
    bench.write("x.safetensors", Tensors::filled("input", &[1, 3, 64, 64], 0.5).to_bytes());
    bench.succeed(&format!("forward {TINY} --input x.safetensors --out y.safetensors --attention"));
    let written = Tensors::of(&bench.read("y.safetensors"));
    assert_eq!(written.get("attention.2").0, [1, 3, 65, 65]);
}

#[test]
fn no_tensor_named_input() {
    bad_input(&Tensors::filled("images", &[1, 3, 32, 32], 0.5), "tensor `input` not found");
}

#[test]
fn an_input_of_three_axes() {
    let wanted = "shape is [3, 32, 32], wanted [batch, 3, height, width]";
    bad_input(&Tensors::filled("input", &[3, 32, 32], 0.5), wanted);
}

#[test]
fn an_input_that_is_not_square() {
    bad_input(&Tensors::filled("input", &[1, 3, 32, 16], 0.5), "shape is [1, 3, 32, 16], wanted");
}

#[test]
fn an_input_of_another_number_of_channels() {
    misfit(&[1, 1, 32, 32], "`input` has 1 channels, the model takes 3");
}

#[test]
fn an_input_of_partial_patches() {
    misfit(&[1, 3, 30, 30], "image size 30 is not a multiple of the patch size 8");
}

#[test]
fn an_input_without_images() {
    bad_input(&Tensors::filled("input", &[0, 3, 32, 32], 0.5), "shape is [0, 3, 32, 32], wanted");
    bad_input(&Tensors::filled("input", &[1, 3, 0, 0], 0.5), "shape is [1, 3, 0, 0], wanted");
}

#[test]
fn an_input_that_is_not_a_number() {
    bad_input(&Tensors::filled("input", &[1, 3, 32, 32], f32::NAN), "NaN at flat index 0");
}

/// An input that does not fit the model.
fn misfit(shape: &[usize], wanted: &str) {
    let bench = Workbench::new();
    bench.write("x.safetensors", Tensors::filled("input", shape, 0.5).to_bytes());
    let args = format!("forward {TINY} --input x.safetensors --out y.safetensors");
    bench.check(&args, 1, &[wanted]);
}

/// An input that fits no model.
fn bad_input(input: &Tensors, wanted: &str) {
    let bench = Workbench::new();
    bench.write("x.safetensors", input.to_bytes());
    let args = format!("forward {TINY} --input x.safetensors --out y.safetensors");
    bench.check(&args, 1, &["x.safetensors holds no usable tensor `input`", wanted]);
}
