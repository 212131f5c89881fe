//! Checkpoints against what PyTorch computes from them.

use std::sync::Mutex;

use burn::{
    nn::loss::CrossEntropyLossConfig,
    tensor::{Device, Int, Tensor, TensorData},
};
use learngene_models::{
    Classifier,
    checkpoint::{self, Checkpoint, Dialect, Dtype, ReadOptions},
};

use super::common::{Golden, NARROW_MLP, SWIN, TINY, Tensors, folder, largest_gap};

/// The switch of the fused operations belongs to the whole process.
static FUSED: Mutex<()> = Mutex::new(());

/// Largest difference from the tensor of that name, and its largest value.
fn difference<const D: usize>(expected: &Tensors, name: &str, found: Tensor<D>) -> (f32, f32) {
    let (shape, want) = expected.f32(name);
    assert_eq!(found.dims().to_vec(), shape, "{name}");
    let found: Vec<f32> = found.into_data().try_into_vec().expect("flex computes in f32");
    let largest = want.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    (largest_gap(&found, &want), largest)
}

/// Checks the logits, the attention of some layers, the loss and a gradient.
fn check(golden: Golden, file: &str, attention: &[(&str, usize)], fused: bool) {
    let _guard = FUSED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    learngene_kernels::set_fused(fused);
    assert_eq!(learngene_kernels::fused(), fused, "the tests are built with the feature flex");

    let expected = golden.tensors("expected.safetensors");
    let device = Device::flex().autodiff();
    let mut model = golden.read(file).load(&device).expect("a checkpoint fits its configuration");
    let (shape, values) = expected.f32("input");
    let images = Tensor::<4>::from_data(TensorData::new(values, shape), &device);
    let output = model.forward_attention(images.clone());
    let within = |name: &str, worst: f32, bound: f32| {
        println!("{file}, fused {fused}: {name} differs by {worst:e}");
        assert!(worst <= bound, "{file}, fused {fused}: {name} differs by {worst}");
    };

    within("logits", difference(&expected, "logits", output.logits).0, 1e-4);
    for &(name, layer) in attention {
        within(name, difference(&expected, name, output.attention[layer].clone()).0, 1e-5);
    }

    // Without the weights of attention there is another way through it.
    let logits = model.forward(images);
    within("logits alone", difference(&expected, "logits", logits.clone()).0, 1e-4);
    // Image i is of class i.
    let classes = Tensor::<1, Int>::from_ints([0, 1], &device);
    let loss = CrossEntropyLossConfig::new().init(&device).forward(logits, classes);
    within("loss", difference(&expected, "loss", loss.clone()).0, 1e-5);

    let gradients = loss.backward();
    let weight = model.linears_mut(0).qkv.weight.val();
    let gradient = weight.grad(&gradients).expect("the weight takes part in the loss");
    // burn's linear weights are [in, out].
    let (worst, largest) = difference(&expected, "grad_block0_qkv", gradient.transpose());
    within("gradient", worst / largest, 1e-4);
}

/// The ViTs and the Swin in a file of that name, both ways.
fn check_all(vit: &str, swin: &str) {
    for fused in [true, false] {
        for (golden, last) in [(TINY, 2), (NARROW_MLP, 1)] {
            check(golden, vit, &[("attention_layer0", 0), ("attention_last", last)], fused);
        }
        // All windows of an image lie together.
        let attention = [("attention_block0", 0), ("attention_block1_shifted", 1)];
        check(SWIN, swin, &attention, fused);
    }
}

#[test]
fn timm_checkpoints_compute_what_pytorch_does() {
    check_all("timm.safetensors", "timm.safetensors");
}

#[test]
fn official_checkpoints_compute_what_pytorch_does() {
    check_all("deit.pth", "official.pth");
}

#[test]
fn hugging_face_checkpoints_compute_what_pytorch_does() {
    check_all("hf.safetensors", "hf.safetensors");
}

/// The files of a model, and whose names they have.
fn spellings(golden: Golden) -> [(&'static str, Dialect); 3] {
    let of_paper = match golden.case {
        "swin_tiny_golden" => ("official.pth", Dialect::Official),
        _ => ("deit.pth", Dialect::Timm),
    };
    [("timm.safetensors", Dialect::Timm), of_paper, ("hf.safetensors", Dialect::HuggingFace)]
}

#[test]
fn all_spellings_hold_the_same_parameters() {
    for golden in [TINY, NARROW_MLP, SWIN] {
        let timm = golden.read("timm.safetensors");
        assert_eq!(timm.notes, []);
        for (file, dialect) in spellings(golden) {
            let other = golden.read(file);
            assert_eq!(other.dialect, dialect, "{file}");
            assert_eq!(other.config, timm.config, "{file}");
            assert_eq!(other.parameters, timm.parameters, "{file}");
        }
    }
}

#[test]
fn the_prefix_of_hugging_face_may_be_absent() {
    for (golden, prefix) in [(TINY, "vit."), (SWIN, "swin.")] {
        let folder = folder();
        let bare = |name: String| Some(name.strip_prefix(prefix).unwrap_or(&name).into());
        let path = golden.tensors("hf.safetensors").renamed(bare).save(&folder);
        let found = checkpoint::read(&path, &golden.options()).expect("a checkpoint");
        assert_eq!(found.parameters, golden.read("hf.safetensors").parameters);
    }
}

/// Read in each spelling, written, read and written again in each: parameters equal to the bit, and
/// files too.
#[test]
fn what_is_written_is_read_back_bit_for_bit() {
    for golden in [TINY, NARROW_MLP, SWIN] {
        for (file, _) in spellings(golden) {
            let from = golden.read(file);
            for dialect in [Dialect::Timm, Dialect::Official, Dialect::HuggingFace] {
                if dialect == Dialect::Official && from.config.family() == "vit" {
                    continue;
                }
                for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
                    round_trip(&from, dialect, dtype);
                    let bare = ReadOptions { num_classes: Some(0), ..golden.options() };
                    let bare = checkpoint::read(&golden.path(file), &bare).expect("a checkpoint");
                    round_trip(&bare, dialect, dtype);
                }
            }
        }
    }
}

fn round_trip(from: &Checkpoint, dialect: Dialect, dtype: Dtype) {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let save = |from: &Checkpoint| {
        checkpoint::write(&path, &from.config, &from.parameters, dialect, dtype, None)
            .expect("the folder is writable")
    };
    // The first time rounds to the number format; the file then tells all there is to know.
    save(from);
    let first = checkpoint::read(&path, &ReadOptions::default()).expect("no options are needed");
    assert_eq!((first.dialect, first.dtype, &first.notes[..]), (dialect, dtype, &[][..]));
    assert_eq!(first.config, from.config);
    if dtype == Dtype::F32 {
        assert_eq!(first.parameters, from.parameters);
    }
    assert_eq!(checkpoint::sha256(&path).expect("it was just read"), first.sha256);
    let has_config = folder.path().join("config.json").exists();
    assert_eq!(has_config, dialect == Dialect::HuggingFace, "others need none");

    save(&first);
    let second = checkpoint::read(&path, &ReadOptions::default()).expect("no options are needed");
    assert_eq!(second.sha256, first.sha256, "{dialect:?}, {dtype}");
    let bits = |checkpoint: &Checkpoint| -> Vec<u32> {
        let tensors = checkpoint.parameters.iter();
        tensors.flat_map(|(_, tensor)| tensor.values.iter().map(|value| value.to_bits())).collect()
    };
    assert_eq!(bits(&second), bits(&first), "{dialect:?}, {dtype}");
}
