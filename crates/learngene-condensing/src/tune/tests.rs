//! Small ancestors, all of whose settings are tried.

use learngene_format::{Learngene, NoisePolicy};
use learngene_shape::{Family, Vit};

use super::*;
use crate::{
    RefitParams, condense, refit,
    test_ancestor::{ancestors, distances, ffn_errors, images, scattered, vit},
};

fn tuned(ancestor: &Checkpoint, params: TuneParams) -> Result<TuneCurve> {
    let images = || images(10);
    tune(ancestor, &distances(ancestor), images, &params.check()?, &Device::flex())
}

fn with_budget(ancestor: &Checkpoint, budget: Budget) -> TuneCurve {
    tuned(ancestor, TuneParams::new(budget)).expect("a budget that can be met")
}

fn condensed(ancestor: &Checkpoint, setting: &TuneSetting) -> Learngene {
    let distances = distances(ancestor);
    let clusters = clusters(&ancestor.shape, &distances, setting).expect("good parameters");
    condense(ancestor, &distances, &clusters, CondenseOptions::default()).expect("a good ancestor")
}

fn refitted(ancestor: &Checkpoint, setting: &TuneSetting) -> Learngene {
    let params = RefitParams { inputs: RefitInputs::Ancestor, ..RefitParams::default() };
    let params = params.check().expect("possible parameters");
    let images_sha256 = distances(ancestor).images_sha256;
    let learngene = condensed(ancestor, setting);
    refit(&learngene, ancestor, || images(10), images_sha256, &params, &Device::flex())
        .expect("good images")
}

fn points(curve: &TuneCurve) -> impl Iterator<Item = &TunePoint> {
    curve.one_eps.iter().chain(&curve.per_layer)
}

/// The errors of the curve are those that `refit` leaves when it has fitted the setting; of shared
/// FFNs it records the error of all together, so those of each are measured.
#[test]
fn errors_from_moments_are_those_of_refit() {
    for ancestor in ancestors() {
        let curve = with_budget(&ancestor, Budget::MaxShare(100.0));
        for point in points(&curve) {
            let learngene = refitted(&ancestor, &point.setting);
            let refit = learngene.manifest().refit.as_ref().expect("it was refitted");
            let near = |got: f64, want: f64, by: f64| {
                assert!((got - want).abs() < by, "{got} {want}");
            };
            for (layer, fits) in refit.attention.iter().enumerate() {
                near(point.attention_error[layer], fits[0].fit.after.relative, 1e-4);
            }
            let measured = ffn_errors(&ancestor, &learngene, images(10));
            for (got, want) in point.ffn_error.iter().zip(&measured) {
                // Rounding of the fit bears on the error of all in the second order, on that of each
                // in the first.
                near(*got, *want, 1e-3);
            }
            let errors = point.attention_error.iter().chain(&point.ffn_error);
            near(point.error, errors.sum::<f64>() / (2 * measured.len()) as f64, 1e-12);
        }
    }
}

/// A layer of large outputs does not hide what the others lose.
#[test]
fn layers_count_alike_whatever_their_outputs_size() {
    let mut ancestor = vit();
    let error = |ancestor: &Checkpoint| {
        let curve = with_budget(ancestor, Budget::MaxError(1e9));
        assert_eq!(curve.chosen.ffn_groups, [[0, 1, 2]]);
        curve.chosen.ffn_error
    };
    let alike = error(&ancestor);
    for name in ["blocks.2.mlp.fc2.weight", "blocks.2.mlp.fc2.bias"] {
        let mut second = ancestor.parameters.remove(name).expect("a parameter");
        second.values.iter_mut().for_each(|value| *value *= 64.0);
        ancestor.parameters.insert(name, second);
    }
    let one_larger = error(&ancestor);
    // Pooled, the layer of large outputs would leave the others' errors a part in thousands.
    let total = |errors: &[f64]| errors.iter().sum::<f64>();
    assert!(total(&one_larger) > total(&alike), "{one_larger:?}, {alike:?}");
}

#[test]
fn sizes_are_those_of_learngenes() {
    for ancestor in ancestors() {
        for point in points(&with_budget(&ancestor, Budget::MaxShare(100.0))) {
            let learngene = condensed(&ancestor, &point.setting);
            assert_eq!(learngene.manifest().parameters.stored, point.parameters);
            assert_eq!(4 * learngene.tensors().num_parameters() as u64, point.bytes);
        }
    }
}

#[test]
fn the_file_is_within_its_budget() {
    for ancestor in ancestors() {
        let curve = with_budget(&ancestor, Budget::MaxError(1e9));
        let [least, most] = [&curve.chosen, curve.per_layer.last().expect("a point")]
            .map(|point| refitted(&ancestor, &point.setting).to_bytes().len() as u64);
        assert!(least < most);
        for part in 1..=5 {
            // Numbers of the fit have fewer digits than they could have.
            let budget = least + 4096 + (most - least) * part / 5;
            let curve = with_budget(&ancestor, Budget::MaxBytes(budget));
            let bytes = refitted(&ancestor, &curve.chosen.setting).to_bytes().len() as u64;
            assert!(bytes <= curve.chosen_file_bytes, "{bytes} of {}", curve.chosen_file_bytes);
            assert!(curve.chosen_file_bytes <= budget, "{} of {budget}", curve.chosen_file_bytes);
        }
    }
}

/// With the longest numbers that a fit can have.
#[test]
fn the_length_of_the_file_is_foretold() {
    for (ancestor, ffn) in ancestors().into_iter().zip([false, true]) {
        let params = TuneParams { ffn, ..TuneParams::new(Budget::MaxError(1e9)) };
        let curve = tuned(&ancestor, params).expect("a budget that can be met");
        let (mut manifest, tensors) = refitted(&ancestor, &curve.chosen.setting).into_parts();
        let refit = manifest.refit.as_mut().expect("it was refitted");
        refit.images = curve.images;
        let attention = refit.attention.iter_mut().flatten().map(|of_heads| &mut of_heads.fit);
        for fit in attention.chain(refit.ffn.iter_mut().flatten()) {
            *fit = longest_fit();
        }
        let file = Learngene::new(manifest, tensors).expect("a valid learngene").to_bytes();
        assert_eq!(file.len() as u64, curve.chosen_file_bytes);
    }
}

#[test]
fn a_share_is_of_the_ancestors_parameters() {
    let ancestor = vit();
    let curve = with_budget(&ancestor, Budget::MaxShare(100.0));
    assert_eq!(curve.ancestor_parameters, ancestor.parameters.num_parameters() as u64);
    assert_eq!(curve.ancestor_bytes, 4 * curve.ancestor_parameters);
}

#[test]
fn the_smallest_of_those_exact_enough_is_chosen() {
    let ancestor = vit();
    let all = with_budget(&ancestor, Budget::MaxError(0.0));
    assert_eq!(all.chosen.kept_heads(), 11);
    assert_eq!(all.chosen.error, 0.0);
    for want in all.per_layer.iter().map(|point| point.error) {
        let chosen = with_budget(&ancestor, Budget::MaxError(want)).chosen;
        assert!(chosen.error <= want);
        let smaller = all.per_layer.iter().filter(|point| point.parameters < chosen.parameters);
        smaller.for_each(|point| assert!(point.error > want));
    }
}

/// What one eps can do, one for each layer can do at least as well.
#[test]
fn an_eps_for_each_layer_is_never_worse() {
    for ancestor in ancestors() {
        let curve = with_budget(&ancestor, Budget::MaxShare(100.0));
        for point in &curve.one_eps {
            let other = curve.per_layer.iter().rev().find(|p| p.parameters <= point.parameters);
            let other = other.expect("one as small");
            assert!(other.error <= point.error + 1e-12, "{} {}", other.error, point.error);
        }
        let one = TuneParams { one_eps: true, ..TuneParams::new(Budget::MaxError(0.5)) };
        let chosen = tuned(&ancestor, one).expect("it can be met").chosen;
        assert!(curve.one_eps.contains(&chosen));
    }
}

#[test]
fn ffns_stay_alone_where_they_are_not_to_be_joined() {
    let alone = TuneParams { ffn: false, ..TuneParams::new(Budget::MaxShare(100.0)) };
    let curve = tuned(&vit(), alone).expect("it can be met");
    assert!(points(&curve).all(|point| point.ffn_groups == [[0], [1], [2]]));
    let curve = with_budget(&vit(), Budget::MaxShare(100.0));
    assert!(points(&curve).any(|point| point.ffn_groups.len() == 1));
}

#[test]
fn the_default_is_the_methods_eps() {
    let ancestor = vit();
    let mut distances = distances(&ancestor);
    let scale = 16.0 / 224.0; // Sides of the ancestor's images and of the method's.
    distances.mean_attention_distance.iter_mut().flatten().for_each(|pixels| *pixels *= scale);
    let params = TuneParams::new(Budget::MaxError(0.0)).check().expect("possible parameters");
    let images = || images(10);
    let curve = tune(&ancestor, &distances, images, &params, &Device::flex());
    let default = curve.expect("it can be met").default;
    assert_eq!(default.setting.eps, [10.0 * 16.0 / 224.0]);
    assert_eq!(default.heads.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2, 3]);
    assert!(default.error > 0.0);
}

#[test]
fn budgets_that_nothing_meets_are_refused() {
    let refused = |params| tuned(&vit(), params).expect_err("nothing is so small").to_string();
    let smallest = with_budget(&vit(), Budget::MaxError(1e9));
    let least = smallest.chosen_file_bytes;
    let size = |bytes: u64| {
        let share = 100.0 * bytes as f64 / smallest.ancestor_bytes as f64;
        format!("{} bytes, {share:.1} % of the ancestor's", thousands(bytes))
    };
    let message = format!(
        "smallest learngene that clustering can make: found {}, expected at most {}",
        size(least),
        size(1000)
    );
    assert_eq!(refused(TuneParams::new(Budget::MaxBytes(1000))), message);
    // Its numbers fit, the header beside them does not.
    let message = refused(TuneParams::new(Budget::MaxBytes(least - 1)));
    assert!(message.contains(&format!("found {}", size(least))), "{message}");
    let alone = TuneParams { ffn: false, ..TuneParams::new(Budget::MaxBytes(least)) };
    let message = refused(alone);
    assert!(message.ends_with("joined FFNs (without --heads-only) make smaller ones"), "{message}");

    // Two heads that no eps separates.
    let ancestor = vit();
    let mut distances = distances(&ancestor);
    distances.mean_attention_distance[0][2] = 40.0;
    let params = TuneParams::new(Budget::MaxError(0.0)).check().expect("possible parameters");
    let images = || images(10);
    let error = tune(&ancestor, &distances, images, &params, &Device::flex()).expect_err("apart");
    let message = error.to_string();
    assert!(message.starts_with("least feature error of any setting: found 0."), "{message}");
}

#[test]
fn numbers_in_messages_are_readable() {
    let texts = [0, 999, 1000, 2_400_000].map(thousands);
    assert_eq!(texts, ["0", "999", "1,000", "2,400,000"]);
    let bounds = [0.0, 0.012_345_678, 0.5, 3.000_01].map(bound);
    assert_eq!(bounds, [0.0, 0.01235, 0.5, 3.001]);
}

#[test]
fn distances_of_another_ancestor_are_refused() {
    let params = TuneParams::new(Budget::MaxError(0.0)).check().expect("possible parameters");
    let refused = |distances: &Distances| {
        let found = tune(&vit(), distances, || images(4), &params, &Device::flex());
        found.expect_err("of another ancestor").to_string()
    };
    let mut other = distances(&ancestors()[1]);
    assert!(refused(&other).starts_with("ancestor of the distances: found"));
    other.ancestor_sha256 = vit().sha256;
    let message = "heads of the distances: found [3, 2, 2, 4], expected [4, 3, 4]";
    assert_eq!(refused(&other), message);
}

#[test]
fn curves_are_read_again_and_others_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("curve.json");
    let curve = with_budget(&vit(), Budget::MaxShare(80.0));
    curve.write(&path).expect("the folder is writable");
    assert_eq!(TuneCurve::read(&path).expect("just written"), curve);

    let text = std::fs::read_to_string(&path).expect("just written");
    std::fs::write(&path, text.replacen("\"images\"", "\"pictures\"", 1)).expect("writable");
    let message = TuneCurve::read(&path).expect_err("an unknown key").to_string();
    assert!(message.contains("curve.json: found unknown field `pictures`"), "{message}");
    assert!(message.ends_with("expected a curve from `learngene tune`"), "{message}");

    let refused = |edit: &dyn Fn(&mut TuneCurve)| {
        let mut curve = curve.clone();
        edit(&mut curve);
        curve.check().expect_err("refused").to_string()
    };
    let message = refused(&|curve| curve.per_layer[1].error = f64::NAN);
    assert!(message.starts_with("an error of per_layer[1]: found NaN"), "{message}");
    let message = refused(&|curve| curve.chosen.heads.truncate(1));
    assert_eq!(message, "chosen.heads: found 1 entries, expected 3");
    let message = refused(&|curve| curve.one_eps.reverse());
    assert!(message.starts_with("one_eps[1]: found"), "{message}");
}

/// Of a layer of one head all heads are noise by `min_points = 2`, unless noise stays.
#[test]
fn layers_of_fewer_heads_than_min_points_are_refused() {
    let inner =
        Vit { num_heads: vec![4, 1, 4], ..vit().shape.get::<Vit>().expect("a ViT").clone() };
    let ancestor = scattered(inner.shape().expect("possible"), 3);
    let tuned = |min_points: Vec<usize>| {
        tuned(&ancestor, TuneParams { min_points, ..TuneParams::new(Budget::MaxShare(100.0)) })
    };
    let message = tuned(vec![2]).expect_err("all heads are noise").to_string();
    let expected = "min_points: found [2], expected 1 too, since layer 1 has no more heads than 1";
    assert_eq!(message, expected);
    assert!(tuned(vec![1, 2]).is_ok() && tuned(vec![3]).is_ok());
}

/// Radii that would join layers of different FFNs too still join the others.
#[test]
fn ffns_of_one_width_join_beside_others() {
    let inner =
        Vit { hidden_dim: vec![20, 20, 16], ..vit().shape.get::<Vit>().expect("a ViT").clone() };
    let ancestor = scattered(inner.shape().expect("possible"), 3);
    let curve = with_budget(&ancestor, Budget::MaxShare(100.0));
    assert_eq!(curve.per_layer[0].ffn_groups, [vec![0, 1], vec![2]]);
}

/// Without a ridge, heads added to others never make the error larger: all sets of four heads.
#[test]
fn errors_never_grow_with_more_heads() {
    let measured =
        Measured::of(&vit(), || images(10), Vec::new(), &Device::flex()).expect("good images");
    let heads = |set: u32| (0..4).filter(|head| set >> head & 1 == 1).collect::<Vec<usize>>();
    let error = |set: u32| measured.attention_error(0, &heads(set), 0.0).expect("solvable");
    let errors: Vec<f64> = (1..16).map(error).collect();
    for fewer in 1..16_usize {
        for more in (1..16_usize).filter(|more| more & fewer == fewer) {
            let (of_fewer, of_more) = (errors[fewer - 1], errors[more - 1]);
            assert!(of_more <= of_fewer + 1e-9, "{fewer:b}: {of_fewer}, {more:b}: {of_more}");
        }
    }
    assert!(errors[0] > 0.01 && errors[14] == 0.0, "{errors:?}");
}

#[test]
fn noise_is_left_out_or_joined_but_not_kept() {
    let settings = |min_points: Vec<usize>| {
        let params = TuneParams { min_points, ..TuneParams::new(Budget::MaxShare(100.0)) };
        let curve = tuned(&vit(), params).expect("it can be met");
        points(&curve).map(|point| point.setting.clone()).collect::<Vec<_>>()
    };
    let kept = settings(vec![1]);
    assert!(kept.iter().all(|setting| setting.noise == NoisePolicy::Singleton));
    let left_out = settings(vec![2]);
    assert!(left_out.iter().all(|setting| setting.min_points == 2));
    assert!(left_out.iter().all(|setting| setting.noise != NoisePolicy::Singleton));
    assert!(left_out.iter().any(|setting| setting.noise == NoisePolicy::Drop));
}
