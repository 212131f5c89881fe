//! Checkpoints against what PyTorch computes from them.

use std::sync::Mutex;

use burn::{
    nn::loss::CrossEntropyLossConfig,
    tensor::{Device, Int, Tensor, TensorData},
};
use learngene_checkpoints::{Checkpoint, Dialect, ReadOptions, read, unsupported_reason, write};
use learngene_models::{Classifier, Model};
use learngene_tensors::{Dtype, Sha256};

use super::common::{
    Golden, LAYER_SCALE, NARROW_MLP, PRUNED, SWIGLU, SWIN, TINY, Tensors, folder, largest_gap,
};

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
    let Checkpoint { shape, parameters, .. } = golden.read(file);
    let mut model = Model::load(&shape, &parameters, &device).expect("they fit");
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

/// The model in a file of each of these names, both ways.
fn check_all(files: [(Golden, &str); 5]) {
    for (golden, file) in files {
        let attention: &[(&str, usize)] = match golden.case {
            "vit_narrow_mlp_golden" => &[("attention_layer0", 0), ("attention_last", 1)],
            "vit_tiny_golden" => &[("attention_layer0", 0), ("attention_last", 2)],
            // All windows of an image lie together.
            "swin_tiny_golden" => &[("attention_block0", 0), ("attention_block1_shifted", 1)],
            _ => &[("attention_layer0", 0), ("attention_layer2", 2), ("attention_last", 3)],
        };
        for fused in [true, false] {
            check(golden, file, attention, fused);
        }
    }
}

#[test]
fn timm_checkpoints_compute_what_pytorch_does() {
    check_all([TINY, NARROW_MLP, PRUNED, SWIGLU, SWIN].map(|golden| (golden, "timm.safetensors")));
}

#[test]
fn official_checkpoints_compute_what_pytorch_does() {
    let deit = |golden| (golden, "deit.pth");
    check_all([deit(TINY), deit(NARROW_MLP), deit(PRUNED), deit(SWIGLU), (SWIN, "official.pth")]);
}

#[test]
fn hugging_face_checkpoints_compute_what_pytorch_does() {
    let hf = |golden| (golden, "hf.safetensors");
    // transformers has no SwiGLU.
    check_all([hf(TINY), hf(NARROW_MLP), hf(PRUNED), hf(SWIN), (SWIGLU, "timm.safetensors")]);
}

#[test]
fn folded_scales_give_the_logits_of_timm() {
    let Checkpoint { shape, parameters, notes, .. } = LAYER_SCALE.read("timm.safetensors");
    assert_eq!(notes, ["folded LayerScale into the weights that it follows"]);
    let expected = LAYER_SCALE.tensors("expected.safetensors");
    let device = Device::flex();
    let model = Model::load(&shape, &parameters, &device).expect("a plain ViT");
    let (shape, values) = expected.f32("input");
    let images = Tensor::<4>::from_data(TensorData::new(values, shape), &device);
    let (worst, _) = difference(&expected, "logits", model.forward(images));
    assert!(worst <= 1e-5, "logits differ by {worst}");
}

/// The files of a model, and whose names they have.
fn spellings(golden: Golden) -> Vec<(&'static str, Dialect)> {
    let of_paper = match golden.case {
        "swin_tiny_golden" => ("official.pth", Dialect::Official),
        _ => ("deit.pth", Dialect::Timm),
    };
    let mut files = vec![("timm.safetensors", Dialect::Timm), of_paper];
    if golden.case != SWIGLU.case {
        files.push(("hf.safetensors", Dialect::HuggingFace));
    }
    files
}

#[test]
fn all_spellings_hold_the_same_parameters() {
    for golden in [TINY, NARROW_MLP, PRUNED, SWIGLU, SWIN] {
        let timm = golden.read("timm.safetensors");
        assert_eq!(timm.notes, [""; 0]);
        for (file, dialect) in spellings(golden) {
            let other = golden.read(file);
            assert_eq!(other.dialect, dialect, "{file}");
            assert_eq!(other.shape, timm.shape, "{file}");
            assert_eq!(other.parameters, timm.parameters, "{file}");
        }
    }
}

#[test]
fn layers_have_the_hidden_widths_of_their_tensors() {
    for (golden, widths, parts) in [(PRUNED, [77, 29, 64, 33], 1), (SWIGLU, [52, 21, 33, 28], 2)] {
        let shape = golden.read("timm.safetensors").shape;
        let ffns =
            shape.layers().iter().map(|layer| (layer.ffn.hidden_dim, layer.ffn.kind.parts()));
        assert_eq!(ffns.collect::<Vec<_>>(), widths.map(|width| (width, parts)));
    }
}

#[test]
fn the_prefix_of_hugging_face_may_be_absent() {
    for (golden, prefix) in [(TINY, "vit."), (SWIN, "swin.")] {
        let folder = folder();
        let bare = |name: String| Some(name.strip_prefix(prefix).unwrap_or(&name).into());
        let path = golden.tensors("hf.safetensors").renamed(bare).save(&folder);
        let found = read(&path, &golden.options()).expect("a checkpoint");
        assert_eq!(found.parameters, golden.read("hf.safetensors").parameters);
    }
}

/// Read in each spelling, written, read and written again in each: parameters equal to the bit, and
/// files too.
#[test]
fn what_is_written_is_read_back_bit_for_bit() {
    for golden in [TINY, PRUNED, SWIGLU, SWIN] {
        for (file, _) in spellings(golden) {
            let bare = ReadOptions { num_classes: Some(0), ..golden.options() };
            let bare = read(&golden.path(file), &bare).expect("a checkpoint");
            for from in [golden.read(file), bare] {
                for (_, dialect) in spellings(golden) {
                    if golden.case == PRUNED.case && dialect == Dialect::HuggingFace {
                        continue;
                    }
                    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
                        round_trip(&from, dialect, dtype);
                    }
                }
            }
        }
    }
}

fn round_trip(from: &Checkpoint, dialect: Dialect, dtype: Dtype) {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let save = |from: &Checkpoint| {
        write(&path, &from.shape, &from.parameters, dialect, dtype, None)
            .expect("the folder is writable")
    };
    // The first time rounds to the number format; the file then holds all there is to know.
    save(from);
    let first = read(&path, &ReadOptions::default()).expect("no options are needed");
    assert_eq!((first.dialect, first.dtype, first.notes.len()), (dialect, dtype, 0));
    assert_eq!(first.shape, from.shape);
    if dtype == Dtype::F32 {
        assert_eq!(first.parameters, from.parameters);
    }
    assert_eq!(Sha256::of_file(&path).expect("it was just read"), first.sha256);
    let has_config = folder.path().join("config.json").exists();
    let is_needed = dialect == Dialect::HuggingFace || unsupported_reason(&from.shape).is_some();
    assert_eq!(has_config, is_needed, "others need none");

    save(&first);
    let second = read(&path, &ReadOptions::default()).expect("no options are needed");
    assert_eq!(second.sha256, first.sha256, "{dialect:?}, {dtype}");
    let bits = |checkpoint: &Checkpoint| -> Vec<u32> {
        let tensors = checkpoint.parameters.iter();
        tensors.flat_map(|(_, tensor)| tensor.values.iter().map(|value| value.to_bits())).collect()
    };
    assert_eq!(bits(&second), bits(&first), "{dialect:?}, {dtype}");
}
