//! The fused path of a whole model against burn's own operations: in a process of its own, for the
//! switch between them is the process's.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};
use learngene_kernels::set_fused;
use learngene_models::{Classifier, Model};
use learngene_shape::{Family, FfnKind, Shape, Vit};
use learngene_tensors::StateDict;
use proptest::prelude::*;

fn shapes() -> impl Strategy<Value = Shape> {
    let layer = (1_usize..4, 1_usize..100);
    let kind = prop::sample::select(vec![FfnKind::Mlp, FfnKind::SwiGlu]);
    let layers = prop::collection::vec(layer, 1..4);
    (1_usize..48, layers, 1_usize..20, kind, 1_usize..6).prop_map(
        |(embed_dim, layers, head_dim, ffn, grid)| {
            let (num_heads, hidden_dim) = layers.into_iter().unzip();
            let vit = Vit {
                ffn,
                image_size: 4 * grid,
                patch_size: 4,
                num_classes: 5,
                // A small epsilon makes norms of one or two nearly equal numbers amplify rounding.
                layer_norm_eps: 1e-2,
                ..Vit::new(embed_dim, num_heads, head_dim, hidden_dim)
            };
            vit.shape().expect("small, positive sizes")
        },
    )
}

/// Logits, then the gradients of all parameters in their order.
struct Results(Vec<Vec<f32>>);

struct Collect<'a>(&'a GradientsParams, &'a mut Results);

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let gradient = self.0.get::<D>(parameter.id).expect("every parameter has a gradient");
        self.1.0.push(to_vec(gradient));
    }
}

fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("flex computes in f32")
}

fn run(fused: bool, shape: &Shape, parameters: &StateDict, pixels: &TensorData) -> Results {
    set_fused(fused);
    let device = Device::flex().autodiff();
    let model = Model::load(shape, parameters, &device).expect("they are the model's own");
    let logits = model.forward(Tensor::from_data(pixels.clone(), &device));
    let mut results = Results(vec![to_vec(logits.clone().inner())]);
    // A loss that weighs every logit differently.
    let weights: Vec<f32> =
        (0..logits.shape().num_elements()).map(|i| (i % 7) as f32 - 2.5).collect();
    let weights = Tensor::from_data(TensorData::new(weights, logits.dims()), &device);
    let gradients = GradientsParams::from_grads((logits * weights).mean().backward(), &model);
    model.visit(&mut Collect(&gradients, &mut results));
    results
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn logits_and_gradients_agree_to_1e_5(shape in shapes(), batch in 1_usize..5) {
        let parameters = Model::init(&shape, &Device::flex()).state_dict();
        let size = shape.image().size;
        let dims = [batch, 3, size, size];
        let count: usize = dims.iter().product();
        let pixels = (0..count).map(|i| ((i * 31 + 7) % 41) as f32 / 20.0 - 1.0).collect::<Vec<_>>();
        let pixels = TensorData::new(pixels, dims);
        let fused = run(true, &shape, &parameters, &pixels);
        let plain = run(false, &shape, &parameters, &pixels);
        prop_assert_eq!(fused.0.len(), plain.0.len());
        for (index, (fused, plain)) in fused.0.iter().zip(&plain.0).enumerate() {
            let greatest = plain.iter().fold(1.0_f32, |max, x| max.max(x.abs()));
            for (fused, plain) in fused.iter().zip(plain) {
                let difference = (fused - plain).abs() / greatest;
                prop_assert!(difference <= 1e-5, "result {}: {} fused, {} plain", index, fused, plain);
            }
        }
    }
}
