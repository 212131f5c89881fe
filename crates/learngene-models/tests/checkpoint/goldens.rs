//! Checkpoints against what PyTorch computes from them.

use std::sync::Mutex;

use burn::{
    nn::loss::CrossEntropyLossConfig,
    tensor::{Device, Int, Tensor, TensorData},
};
use learngene_models::checkpoint::{self, Checkpoint, Dialect, Dtype, ReadOptions};

use super::common::{Golden, NARROW_MLP, TINY, Tensors, folder, largest_gap};

/// The switch of the fused operations belongs to the whole process.
static FUSED: Mutex<()> = Mutex::new(());

fn read(golden: Golden, file: &str) -> Checkpoint {
    checkpoint::read(&golden.path(file), &golden.options()).expect("the fixture is a checkpoint")
}

/// Largest difference from the tensor of that name, and its largest value.
fn difference<const D: usize>(expected: &Tensors, name: &str, found: Tensor<D>) -> (f32, f32) {
    let (shape, want) = expected.f32(name);
    assert_eq!(found.dims().to_vec(), shape, "{name}");
    let found: Vec<f32> = found.into_data().try_into_vec().expect("flex computes in f32");
    let largest = want.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    (largest_gap(&found, &want), largest)
}

fn check(golden: Golden, file: &str, fused: bool) {
    let _guard = FUSED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    learngene_kernels::set_fused(fused);
    assert_eq!(learngene_kernels::fused(), fused, "the tests are built with the feature flex");

    let expected = Tensors::of(&golden.path("expected.safetensors"));
    let device = Device::flex().autodiff();
    let vit = read(golden, file).load(&device).expect("a checkpoint fits its configuration");
    let (shape, values) = expected.f32("input");
    let images = Tensor::<4>::from_data(TensorData::new(values, shape), &device);
    let output = vit.forward_attention(images);
    let within = |name: &str, worst: f32, bound: f32| {
        println!("{file}, fused {fused}: {name} differs by {worst:e}");
        assert!(worst <= bound, "{file}, fused {fused}: {name} differs by {worst}");
    };

    within("logits", difference(&expected, "logits", output.logits.clone()).0, 1e-4);
    let last = output.attention.len() - 1;
    for (name, layer) in [("attention_layer0", 0), ("attention_last", last)] {
        within(name, difference(&expected, name, output.attention[layer].clone()).0, 1e-5);
    }

    // Image i is of class i.
    let classes = Tensor::<1, Int>::from_ints([0, 1], &device);
    let loss = CrossEntropyLossConfig::new().init(&device).forward(output.logits, classes);
    within("loss", difference(&expected, "loss", loss.clone()).0, 1e-5);

    let gradients = loss.backward();
    let weight = vit.blocks[0].attn.qkv.weight.val();
    let gradient = weight.grad(&gradients).expect("the weight takes part in the loss");
    // burn's linear weights are [in, out].
    let (worst, largest) = difference(&expected, "grad_block0_qkv", gradient.transpose());
    within("gradient", worst / largest, 1e-4);
}

#[test]
fn timm_checkpoints_compute_what_pytorch_does() {
    for golden in [TINY, NARROW_MLP] {
        check(golden, "timm.safetensors", true);
        check(golden, "timm.safetensors", false);
    }
}

#[test]
fn deit_checkpoints_compute_what_pytorch_does() {
    for golden in [TINY, NARROW_MLP] {
        check(golden, "deit.pth", true);
        check(golden, "deit.pth", false);
    }
}

#[test]
fn hugging_face_checkpoints_compute_what_pytorch_does() {
    for golden in [TINY, NARROW_MLP] {
        check(golden, "hf.safetensors", true);
        check(golden, "hf.safetensors", false);
    }
}

#[test]
fn all_spellings_hold_the_same_parameters() {
    for golden in [TINY, NARROW_MLP] {
        let timm = read(golden, "timm.safetensors");
        for (file, dialect) in
            [("deit.pth", Dialect::Timm), ("hf.safetensors", Dialect::HuggingFace)]
        {
            let other = read(golden, file);
            assert_eq!(other.dialect, dialect, "{file}");
            assert_eq!(other.config, timm.config, "{file}");
            assert_eq!(other.parameters, timm.parameters, "{file}");
        }
    }
}

#[test]
fn the_prefix_of_hugging_face_may_be_absent() {
    let folder = folder();
    let bare = |name: String| match name.strip_prefix("vit.") {
        Some(bare) => Some(bare.into()),
        None => Some(name),
    };
    let path = Tensors::of(&TINY.path("hf.safetensors")).renamed(bare).save(&folder);
    let found = checkpoint::read(&path, &TINY.options()).expect("a checkpoint");
    assert_eq!(found.parameters, read(TINY, "hf.safetensors").parameters);
}

/// Written, read and written again in both spellings: parameters equal to the bit, and files too.
#[test]
fn what_is_written_is_read_back_bit_for_bit() {
    for golden in [TINY, NARROW_MLP] {
        for dialect in [Dialect::Timm, Dialect::HuggingFace] {
            for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
                round_trip(golden, dialect, dtype);
            }
        }
    }
}

fn round_trip(golden: Golden, dialect: Dialect, dtype: Dtype) {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let save = |from: &Checkpoint| {
        checkpoint::write(&path, &from.config, &from.parameters, dialect, dtype)
            .expect("the folder is writable")
    };
    // The first time rounds to the number format; the file then tells all there is to know.
    save(&read(golden, "timm.safetensors"));
    let first = checkpoint::read(&path, &ReadOptions::default()).expect("no options are needed");
    assert_eq!((first.dialect, first.dtype), (dialect, dtype));
    assert_eq!(first.config, read(golden, "timm.safetensors").config);
    if dtype == Dtype::F32 {
        assert_eq!(first.parameters, read(golden, "timm.safetensors").parameters);
    }
    assert_eq!(checkpoint::sha256(&path).expect("it was just read"), first.sha256);

    save(&first);
    let second = checkpoint::read(&path, &ReadOptions::default()).expect("no options are needed");
    assert_eq!(second.sha256, first.sha256, "{dialect:?}, {dtype}");
    let bits = |checkpoint: &Checkpoint| -> Vec<u32> {
        let tensors = checkpoint.parameters.iter();
        tensors.flat_map(|(_, tensor)| tensor.values.iter().map(|value| value.to_bits())).collect()
    };
    assert_eq!(bits(&second), bits(&first), "{dialect:?}, {dtype}");
}
