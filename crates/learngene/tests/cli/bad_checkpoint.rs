//! Checkpoints that cannot be read: each is refused by its path, and nothing is written.

use crate::{
    tensors::Tensors,
    workbench::{TINY, Workbench, golden},
};

/// Gives these bytes for a checkpoint to every command that reads one.
fn check(bytes: &[u8], parts: &[&str]) {
    let bench = Workbench::with_learngene();
    bench.write("bad.safetensors", bytes);
    bench.write("x.safetensors", Tensors::filled("input", &[1, 3, 32, 32], 0.5).to_bytes());
    let parts = [&["bad.safetensors"], parts].concat();
    for args in [
        "probe --images photos --out d.json",
        "condense --images photos --out x.learngene",
        "export --out d.safetensors",
        "forward --input x.safetensors --out y.safetensors",
        "eval --data cifar10-sample",
        "train --data cifar10-sample --epochs 1 --out run",
        "expand tiny.learngene --method pretraining-finetuning --out d.safetensors --checkpoint",
    ] {
        bench.check(&format!("{args} bad.safetensors --num-heads 3"), &parts);
    }
}

fn tiny() -> Vec<u8> {
    std::fs::read(golden("vit_tiny_golden/timm.safetensors")).expect("the fixture is there")
}

#[test]
fn a_missing_file() {
    let bench = Workbench::new();
    let args = "probe none.safetensors --images cifar10-sample --out d.json";
    bench.check(args, &["cannot read none.safetensors", "No such file"]);
}

#[test]
fn a_folder() {
    let bench = Workbench::new();
    bench.photos("photos", 1);
    let args = "probe photos --images photos --out d.json";
    bench.check(args, &["cannot read photos", "directory"]);
}

#[test]
fn a_learngene() {
    let bench = Workbench::with_learngene();
    let args = "eval tiny.learngene --data cifar10-sample";
    bench.check(args, &["tiny.learngene is a learngene", "`learngene expand`"]);
}

#[test]
fn an_empty_file() {
    check(b"", &["expected"]);
}

#[test]
fn a_file_of_another_kind() {
    check(b"\x89PNG\r\n\x1a\n and some pixels", &["expected"]);
}

#[test]
fn a_file_that_is_cut_short() {
    let whole = tiny();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().expect("eight bytes")) as usize;
    // In the header's length, in the header, at its end, in the weights, before the last byte.
    let offsets = (1..10).chain((10..header).step_by(header / 15)).chain([header - 1, header]);
    let offsets = offsets.chain((header + 1..whole.len()).step_by(whole.len() / 15));
    let offsets: Vec<usize> = offsets.chain([whole.len() - 1]).collect();
    assert!(offsets.len() >= 40, "{offsets:?}");

    let bench = Workbench::new();
    for offset in offsets {
        bench.write("bad.safetensors", &whole[..offset]);
        let args = "export bad.safetensors --num-heads 3 --out d.safetensors";
        bench.check(args, &["bad.safetensors", "expected"]);
    }
}

#[test]
fn a_pth_file_that_is_cut_short() {
    let whole = std::fs::read(golden("vit_tiny_golden/deit.pth")).expect("the fixture is there");
    let bench = Workbench::new();
    for offset in (1..whole.len()).step_by(whole.len() / 20) {
        bench.write("bad.pth", &whole[..offset]);
        let args = "export bad.pth --num-heads 3 --out d.safetensors";
        bench.check(args, &["bad.pth"]);
    }
}

#[test]
fn a_tensor_of_a_wrong_shape() {
    let mut tensors = Tensors::of(&tiny());
    let tensor = tensors.0.get_mut("blocks.1.mlp.fc1.bias").expect("it is there");
    tensor.1 = vec![96, 2];
    let shape = "wrong shape: blocks.1.mlp.fc1.bias is [96, 2], expected";
    check(&tensors.to_bytes(), &[shape]);
}

#[test]
fn missing_and_unused_tensors() {
    let mut tensors = Tensors::of(&tiny());
    let bias = tensors.0.remove("norm.bias").expect("it is there");
    tensors.0.insert("norm.bais".into(), bias);
    check(&tensors.to_bytes(), &["missing: norm.bias", "unused: norm.bais"]);
}

#[test]
fn weights_that_are_not_numbers() {
    let mut tensors = Tensors::of(&tiny());
    tensors.map("blocks.2.attn.qkv.weight", |at, value| if at == 7 { f32::NAN } else { value });
    check(
        &tensors.to_bytes(),
        &["blocks.2.attn.qkv.weight: found NaN at index 7, expected finite"],
    );
}

/// Each weight is a number, but what the model makes of them is not.
#[test]
fn weights_that_overflow() {
    let mut tensors = Tensors::of(&tiny());
    for layer in 0..3 {
        tensors.map(&format!("blocks.{layer}.attn.qkv.weight"), |_, value| 1e30 * value);
    }
    let bench = Workbench::new();
    bench.write("bad.safetensors", tensors.to_bytes());
    bench.photos("photos", 2);
    bench.labelled_photos("pets", 1);
    let model = "bad.safetensors --num-heads 3";
    let args = format!("probe {model} --images photos --out d.json");
    bench.check(&args, &["layer 0", "NaN", "expected"]);
    // Whatever is compared with NaN is not larger, so every image would count as recognised.
    let seven = "--data seven --batch-size 3";
    for class in 0..7 {
        bench.write(&format!("seven/test/{class}/0.png"), bench.read("photos/0.png"));
    }
    bench.check(&format!("eval {model} {seven}"), &["0/0.png", "NaN", "expected"]);
}

#[test]
fn another_family() {
    let distilled = Tensors::filled("dist_token", &[1, 1, 48], 0.5).to_bytes();
    check(&distilled, &["dist_token"]);
}

#[test]
fn heads_that_the_checkpoint_does_not_say() {
    let bench = Workbench::new();
    let args = "export tiny.safetensors --out d.safetensors";
    bench.check(args, &["--num-heads", "--arch"]);
    let args = format!("{args} --num-heads");
    bench.check(&format!("{args} 5"), &["tiny.safetensors", "found 5", "48"]);
    bench.check(&format!("{args} 3,3"), &["tiny.safetensors", "2", "3"]);
}

#[test]
fn heads_that_the_checkpoint_contradicts() {
    let bench = Workbench::with_learngene();
    bench.succeed("expand tiny.learngene --out d.safetensors");
    let args = "export d.safetensors --num-heads 6 --out e.safetensors";
    bench.check(args, &["d.safetensors: num_heads[0]: found 3, expected 6 to match --num-heads"]);
    bench.succeed("export d.safetensors --num-heads 3 --out e.safetensors");
    bench.write("config.json", r#"{"num_attention_heads": 6}"#);
    let args = format!("export {TINY} --out e.safetensors");
    bench.check(&args, &["config.json: num_heads[0]: found 6, expected 3"]);
}

#[test]
fn a_shape_that_the_tensors_contradict() {
    let bench = Workbench::new();
    let export = "export tiny.safetensors --out d.safetensors";
    let args = format!("{export} --arch deit_tiny_patch16_224");
    bench.check(&args, &["deit_tiny_patch16_224", "192", "48"]);
    let args = format!("{export} --arch resnet50");
    bench.check(&args, &["resnet50", "deit_tiny_patch16_224"]);
    bench.write("config.json", r#"{"num_attention_heads": 3, "hidden_size": 192}"#);
    bench.check(export, &["config.json", "hidden_size", "192", "48"]);
}
