//! Models against what PyTorch computes from the same parameters: see `tests/golden/*/README.md`.

use std::path::Path;

use burn::{
    nn::loss::CrossEntropyLossConfig,
    tensor::{Device, Int, Tensor, TensorData},
};
use learngene_models::{Classifier, Model};
use learngene_shape::{Family, FfnKind, Shape, Swin, Vit};
use learngene_tensors::{Safetensors, StateDict, Tensor as HostTensor};

fn read(golden: &str, file: &str) -> StateDict {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let path = folder.join(golden).join(file);
    let source = Safetensors::open(&path).expect("a golden file");
    let tensor = |(name, stored): (&String, &learngene_tensors::safetensors::Stored)| {
        let values = source.values(name).expect("finite values");
        (name.clone(), HostTensor::new(stored.shape.clone(), values))
    };
    source.tensors.iter().map(tensor).collect()
}

/// Checks the logits, the attention of the layers of these names, the loss and a gradient.
fn check(golden: &str, shape: &Shape, attention: &[(&str, usize)], fused: bool) {
    learngene_kernels::set_fused(fused);
    let expected = read(golden, "expected.safetensors");
    let within = |name: &str, found: TensorData, bound: f32, scaled: bool| {
        let expected = expected.get(name).expect(name);
        assert_eq!(found.shape().to_vec(), expected.shape, "{golden}: {name}");
        let found: Vec<f32> = found.try_into_vec().expect("flex computes in f32");
        let largest = expected.values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let gaps = found.iter().zip(&expected.values).map(|(found, want)| (found - want).abs());
        let worst = gaps.fold(0.0, f32::max) / if scaled { largest } else { 1.0 };
        println!("{golden}, fused {fused}: {name} differs by {worst:e}");
        assert!(worst <= bound, "{golden}, fused {fused}: {name} differs by {worst}");
    };

    let device = Device::flex().autodiff();
    let parameters = read(golden, "timm.safetensors");
    let mut model = Model::load(shape, &parameters, &device).expect("timm's names and shapes");
    let HostTensor { shape: dims, values } = expected.get("input").expect("images").clone();
    let images = Tensor::<4>::from_data(TensorData::new(values, dims), &device);
    let output = model.forward_attention(images.clone());
    within("logits", output.logits.into_data(), 1e-4, false);
    for &(name, layer) in attention {
        within(name, output.attention[layer].to_data(), 1e-5, false);
    }

    // Without the weights of attention there is another way through it.
    let logits = model.forward(images);
    within("logits", logits.to_data(), 1e-4, false);
    // Image i is of class i.
    let classes = Tensor::<1, Int>::from_ints([0, 1], &device);
    let loss = CrossEntropyLossConfig::new().init(&device).forward(logits, classes);
    within("loss", loss.to_data(), 1e-5, false);
    let gradients = loss.backward();
    let weight = model.linears_mut(0).qkv.weight.val();
    let gradient = weight.grad(&gradients).expect("the weight takes part in the loss");
    // burn's linear weights are [in, out].
    within("grad_block0_qkv", gradient.transpose().into_data(), 1e-4, true);
}

/// One test, for the switch of the fused operations belongs to the whole process.
#[test]
fn models_compute_what_pytorch_does() {
    let ends = |last| [("attention_layer0", 0), ("attention_last", last)];
    let vit = |patch_size, num_classes, image_size, vit| {
        Vit { patch_size, num_classes, image_size, ..vit }.shape().expect("timm made it")
    };
    let of_widths =
        |ffn, hidden_dim| vit(8, 5, 32, Vit { ffn, ..Vit::new(48, vec![3; 4], 16, hidden_dim) });
    let all = [
        ("attention_layer0", 0),
        ("attention_layer1", 1),
        ("attention_layer2", 2),
        ("attention_last", 3),
    ];
    let swin = Swin {
        image_size: 32,
        patch_size: 2,
        window_size: 4,
        num_classes: 6,
        ..Swin::uniform(16, &[2, 2], &[2, 4])
    };
    let swin = swin.shape().expect("timm made it");
    // All windows of an image lie together.
    let windows = [("attention_block0", 0), ("attention_block1_shifted", 1)];
    for fused in [true, false] {
        check("vit_tiny_golden", &vit(8, 7, 32, Vit::uniform(48, 3, 3)), &ends(2), fused);
        let narrow = vit(16, 5, 48, Vit::new(32, vec![4; 2], 8, vec![64; 2]));
        check("vit_narrow_mlp_golden", &narrow, &ends(1), fused);
        let pruned = of_widths(FfnKind::Mlp, vec![77, 29, 64, 33]);
        check("vit_pruned_golden", &pruned, &all, fused);
        let gated = of_widths(FfnKind::SwiGlu, vec![52, 21, 33, 28]);
        check("vit_swiglu_golden", &gated, &all, fused);
        check("swin_tiny_golden", &swin, &windows, fused);
    }
}
