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
fn ffns_of_other_widths_and_kinds() {
    check("vit_narrow_mlp_golden", "timm.safetensors", "4");
    check("vit_pruned_golden", "timm.safetensors", "3");
    check("vit_swiglu_golden", "timm.safetensors", "3");
}

/// Runs a checkpoint on the input of its golden and compares logits and attention.
fn check(case: &str, checkpoint: &str, num_heads: &str) {
    let bench = Workbench::new();
    bench.lay(checkpoint, &golden(case).join(checkpoint));
    bench.lay("expected.safetensors", &golden(case).join("expected.safetensors"));
    bench.succeed(&format!(
        "forward {checkpoint} --num-heads {num_heads} --input expected.safetensors \
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
fn inputs_that_no_model_takes() {
    let shape = "shape of `input`: found";
    for (name, shape, value, message) in [
        ("images", &[1, 3, 32, 32][..], 0.5, "found no `input`"),
        ("input", &[3, 32, 32], 0.5, shape),
        ("input", &[1, 3, 32, 16], 0.5, shape),
        ("input", &[0, 3, 32, 32], 0.5, shape),
        ("input", &[1, 3, 0, 0], 0.5, shape),
        ("input", &[1, 3, 32, 32], f32::NAN, "input: found NaN at index 0"),
        ("input", &[1, 1, 32, 32], 0.5, "`input` has 1 channels, the model takes 3"),
        ("input", &[1, 3, 30, 30], 0.5, "found 30, expected a multiple of the patch size, 8"),
    ] {
        let bench = Workbench::new();
        bench.write("x.safetensors", Tensors::filled(name, shape, value).to_bytes());
        let args = format!("forward {TINY} --input x.safetensors --out y.safetensors");
        bench.check(&args, &[message]);
    }
}
