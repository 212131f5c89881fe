//! What a fit is, and what it leaves alone.

use super::*;

#[test]
fn heads_that_stand_for_themselves_alone_stay_as_they_are() {
    for ancestor in ancestors() {
        let learngene = condensed(&ancestor, 1e-6, Representative::Nearest);
        for inputs in WAYS {
            let refitted = refitted(&ancestor, &learngene, params(inputs, 1e-2));
            assert_eq!(refitted.tensors(), learngene.tensors());
            for fit in fits(&refitted) {
                assert!(fit.before.relative < 1e-10, "{fit:?}");
                assert_eq!(fit.before, fit.after);
            }
        }
    }
}

/// Not only left out: the fit itself finds the ancestor's columns.
#[test]
fn the_fit_of_all_heads_is_the_ancestors_projection() {
    let ancestor = vit();
    let learngene = condensed(&ancestor, 1e-6, Representative::Nearest);
    let shifted = edited(&learngene, "layers.1.attn.proj.weight", |columns| {
        columns.iter_mut().for_each(|value| *value += 0.125);
    });
    let refitted = refitted(&ancestor, &shifted, params(RefitInputs::Ancestor, 0.0));
    let (got, want) = ("layers.1.attn.proj.weight", learngene);
    let pairs = values(&refitted, got).into_iter().zip(values(&want, got));
    let worst = pairs.fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst < 1e-4, "{worst}");
    let fit = &record(&refitted).attention[1][0].fit;
    assert!(fit.before.relative > 1e-2 && fit.after.relative < 1e-9, "{fit:?}");
}

#[test]
fn a_copy_of_a_head_is_absorbed_exactly() {
    let mut ancestor = vit();
    let layout = HeadLayout { num_heads: 4, head_dim: 6 };
    for (name, width) in [("blocks.0.attn.qkv.weight", 24), ("blocks.0.attn.qkv.bias", 1)] {
        let mut fused = ancestor.parameters.get(name).expect("a parameter").clone();
        for projection in Projection::ALL {
            let (from, to) = (layout.rows(projection, Head(0)), layout.rows(projection, Head(2)));
            fused.values.copy_within(from.start * width..from.end * width, to.start * width);
        }
        ancestor.parameters.insert(name, fused);
    }
    let learngene = condensed(&ancestor, 10.0, Representative::Nearest);
    let refitted = refitted(&ancestor, &learngene, params(RefitInputs::Ancestor, 0.0));
    let fit = &record(&refitted).attention[0][0].fit;
    assert!(fit.before.relative > 1e-2 && fit.after.worst_channel < 1e-9, "{fit:?}");

    let projection = ancestor.parameters.get("blocks.0.attn.proj.weight").expect("a parameter");
    let columns = values(&refitted, "layers.0.attn.proj.weight");
    for output in 0..24 {
        for dim in 0..6 {
            let at = |head: usize| projection.values[output * 24 + head * 6 + dim];
            let both = at(0) + at(2);
            let got = columns[output * 6 + dim];
            assert!((got - both).abs() < 1e-4, "output {output}, {dim}: {got}, wanted {both}");
        }
    }
}

#[test]
fn errors_never_grow() {
    for ancestor in ancestors() {
        for representative in [Representative::Nearest, Representative::Mean] {
            let learngene = condensed(&ancestor, 10.0, representative);
            for inputs in WAYS {
                for ridge in [0.0, 1e-2] {
                    let refitted = refitted(&ancestor, &learngene, params(inputs, ridge));
                    for fit in fits(&refitted) {
                        check_smaller(&fit.after, &fit.before);
                        assert!(fit.after.relative < fit.before.relative, "{fit:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_not_fitted_stays() {
    for ancestor in ancestors() {
        let learngene = condensed(&ancestor, 10.0, Representative::Nearest);
        let refitted = refitted(&ancestor, &learngene, params(RefitInputs::Own, 1e-2));
        for (name, tensor) in learngene.tensors() {
            let is_fitted = name.contains("attn.proj") && !name.ends_with("origin");
            assert_eq!(refitted.tensors()[name] != *tensor, is_fitted, "{name}");
        }
    }
}

fn model(learngene: &Learngene, config: &ModelConfig) -> Model {
    centroid_model(learngene, config, &Device::flex()).expect("a learngene of this shape")
}

/// Squared difference of tokens after some halves of layers, summed over all images.
fn stream_error(ancestor: &Checkpoint, learngene: &Learngene, halves: usize) -> f64 {
    let own = model(learngene, &ancestor.config);
    let ancestor = ancestor.load(&Device::flex()).expect("good parameters");
    let of_batch = |images: Tensor<4>| {
        let run = |model: &Model| half_layers(model, model.embed(images.clone()), 0..halves);
        f64::from((run(&own) - run(&ancestor)).powi_scalar(2).sum().into_scalar::<f32>())
    };
    images(10).into_iter().map(|images| of_batch(images.expect("infallible"))).sum()
}

/// Both ways begin with the same layer; of the last layer's inputs, `own` makes the best.
#[test]
fn own_inputs_repair_what_came_before() {
    let ancestor = vit();
    let learngene = condensed(&ancestor, 10.0, Representative::Nearest);
    let [on_ancestors, on_own] =
        WAYS.map(|inputs| refitted(&ancestor, &learngene, params(inputs, 0.0)));
    let first = "layers.0.attn.proj.weight";
    assert_eq!(on_ancestors.tensor(first), on_own.tensor(first));
    let error = |learngene| stream_error(&ancestor, learngene, 3);
    let errors = [&learngene, &on_ancestors, &on_own].map(error);
    assert!(errors[2] <= errors[1] * (1.0 + 1e-6), "{errors:?}");
    assert!(errors[2] < errors[0], "{errors:?}");
}

#[test]
fn tokens_made_again_give_the_same_bytes() {
    for ancestor in ancestors() {
        let last = ancestor.config.depth() - 1;
        let given = FfnParams::given(vec![vec![last - 1, last]]);
        let learngene = condensed_as(&ancestor, &clusters_with_ffns(&ancestor, given));
        let params = params(RefitInputs::Own, 1e-2).check().expect("possible parameters");
        let run = |budget: usize| {
            let images = || images(10);
            let device = Device::flex();
            refit_within(budget, &learngene, &ancestor, images, SHA256, &params, &device)
                .expect("good images")
                .to_bytes()
        };
        assert_eq!(run(0), run(BUDGET));
    }
}

#[test]
fn fewer_heads_have_projections_of_their_own() {
    let ancestor = vit();
    let learngene = condensed(&ancestor, 10.0, Representative::Nearest);
    for inputs in WAYS {
        let target_heads = vec![1, 5, 2, 1];
        let params = RefitParams { target_heads, ..params(inputs, 0.0) };
        let refitted = refitted(&ancestor, &learngene, params);
        let fits = &record(&refitted).attention;
        let heads: Vec<Vec<usize>> =
            fits.iter().map(|fits| fits.iter().map(|fit| fit.heads).collect()).collect();
        assert_eq!(heads, [vec![3, 2, 1], vec![2, 1]]);
        for fits in fits {
            for pair in fits.windows(2) {
                assert!(pair[0].fit.after.relative <= pair[1].fit.after.relative, "{pair:?}");
            }
        }
        let first = refitted.tensor("layers.0.attn.proj.first.2.weight");
        assert_eq!(first.expect("two of three heads").shape(), [2, 24, 6]);
        assert!(refitted.tensor("layers.0.attn.proj.first.1.bias").is_some());
        assert!(refitted.tensor("layers.1.attn.proj.first.2.weight").is_none());
    }
}

#[test]
fn a_shared_feed_forward_network_is_fitted_to_all_its_layers() {
    for ancestor in ancestors() {
        for representative in [Representative::Nearest, Representative::Mean] {
            for norm in [FfnNorm::Representative, FfnNorm::Own] {
                let clusters = with_shared_ffns(&ancestor, representative, norm);
                let learngene = condensed_as(&ancestor, &clusters);
                for inputs in WAYS {
                    let refitted = refitted(&ancestor, &learngene, params(inputs, 0.0));
                    for fit in record(&refitted).ffn.iter().flatten() {
                        check_smaller(&fit.after, &fit.before);
                        assert!(fit.after.relative < 0.9 * fit.before.relative, "{fit:?}");
                    }
                    let changed = |name: &str| values(&refitted, name) != values(&learngene, name);
                    assert!(changed("ffn.0.fc2.weight") && changed("ffn.0.fc2.bias"));
                    assert!(!changed("ffn.0.fc1.weight") && !changed("layers.1.norm2.weight"));
                }
            }
        }
    }
}

/// Squared difference of feed-forward networks on the ancestor's tokens, over all layers.
fn ffn_error(ancestor: &Checkpoint, learngene: &Learngene) -> f64 {
    let own = model(learngene, &ancestor.config);
    let of_ancestor = ancestor.load(&Device::flex()).expect("good parameters");
    let mut error = 0.0;
    for images in images(10) {
        let tokens = of_ancestor.embed(images.expect("infallible"));
        for layer in 0..ancestor.config.depth() {
            let tokens = half_layers(&of_ancestor, tokens.clone(), 0..2 * layer + 1);
            let wanted = of_ancestor.feed_forward(layer, tokens.clone());
            let rest = own.feed_forward(layer, tokens) - wanted;
            error += f64::from(rest.powi_scalar(2).sum().into_scalar::<f32>());
        }
    }
    error
}

#[test]
fn no_other_matrix_serves_the_layers_of_a_group_better() {
    let ancestor = vit();
    let clusters = with_shared_ffns(&ancestor, Representative::Nearest, FfnNorm::Own);
    let learngene = condensed_as(&ancestor, &clusters);
    let best = refitted(&ancestor, &learngene, params(RefitInputs::Ancestor, 0.0));
    let least = ffn_error(&ancestor, &best);
    assert!(least < ffn_error(&ancestor, &learngene));
    for (name, at) in [("ffn.0.fc2.weight", 3), ("ffn.0.fc2.weight", 400), ("ffn.0.fc2.bias", 9)] {
        for change in [-0.05, 0.05] {
            let other = edited(&best, name, |values| values[at] += change);
            assert!(ffn_error(&ancestor, &other) > least, "{name} {at} {change}");
        }
    }
}
