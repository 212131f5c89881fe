//! Copies of a head, and what makes them different.

use burn::optim::SgdConfig;
use learngene_models::Classifier;
use learngene_shape::{Axis, Shape, select_heads};
use learngene_tensors::StateDict;

use super::support::*;

/// Largest difference between the two copies of a head, over all heads.
fn apart(shape: &Shape, parameters: &StateDict) -> f32 {
    let of_layers = (0..shape.depth()).flat_map(|layer| {
        let copies = shape.layer(layer).heads.num_heads / 2;
        let parameters = shape.layer_parameters(layer).into_iter().map(|parameter| {
            let tensor = parameters.get(&parameter.name).expect("a parameter of the shape");
            let is_of_heads = |axis: &Axis| matches!(axis, Axis::Heads { .. });
            if !parameter.axes.iter().any(is_of_heads) {
                return 0.0;
            }
            let [first, second] = [0, copies].map(|start| {
                let heads: Vec<usize> = (start..start + copies).collect();
                select_heads(&parameter, tensor, &heads)
            });
            difference(&first.values, &second.values)
        });
        parameters.collect::<Vec<f32>>()
    });
    of_layers.fold(0.0, f32::max)
}

/// Difference of copies after some steps of SGD, and the change of the logits.
fn after_training<C: Classifier>(model: C, shape: &Shape) -> (f32, f32) {
    let before = logits(&model);
    let model = steps(with_autodiff(model), 20, 0.1, &mut SgdConfig::new().init());
    (apart(shape, &model.state_dict()), difference(&logits(&model), &before))
}

/// Equal copies get equal gradients, and so do equal functions of them.
#[test]
fn only_low_rank_makes_the_copies_of_a_head_different() {
    for descendant in [vit(), swin()] {
        let shape = &descendant.shape;
        assert_eq!(apart(shape, &descendant.parameters), 0.0);

        let (plain, moved) = after_training(descendant.load(), shape);
        assert!(plain < 1e-6 && moved > 0.1, "plain: {plain}, {moved}");

        let of = |heads: &str| after_training(descendant.attach(&config("", heads)), shape);
        let (scale_shift, moved) = of("scale-shift");
        assert!(scale_shift < 1e-6 && moved > 0.1, "scale-shift: {scale_shift}, {moved}");
        let (low_rank, moved) = of("low-rank:2");
        assert!(low_rank > 1e-4 && moved > 0.1, "low-rank: {low_rank}, {moved}");
    }
}
