//! Small learngenes in few bits.

use burn::tensor::{Device, Tensor};
use learngene_checkpoints::Checkpoint;
use learngene_clustering::FfnParams;
use learngene_expansion::{Descendant, DescendantConfig, expand};
use learngene_format::{HeadOrder, Learngene, RepresentativePolicy, Store};
use learngene_models::{Classifier, Model};
use learngene_shape::LayerSizes;
use learngene_tensors::Sha256;

use crate::{
    CondenseOptions, FitOptions, Images, Verification, Worth, condense, condense_to, measure,
    refit,
    test_ancestor::{
        all_ancestors, ancestors, clusters, dbscan, distances, edited, images, running, settings,
        vit,
    },
    verify,
};

const IMAGES: usize = 40;

fn worth(ancestor: &Checkpoint) -> Worth {
    let settings = settings(&ancestor.shape, ancestor.sha256);
    let images = &mut Images::new(|| images(IMAGES));
    measure(&running(ancestor), settings, HeadOrder::Output, images).expect("good images")
}

fn half(ancestor: &Checkpoint) -> Vec<LayerSizes> {
    let of_layer = |sizes: LayerSizes| LayerSizes {
        num_heads: sizes.num_heads.div_ceil(2),
        hidden_dim: sizes.hidden_dim / 2,
    };
    ancestor.shape.layer_sizes().into_iter().map(of_layer).collect()
}

fn condensed_to(ancestor: &Checkpoint, sizes: &[LayerSizes], store: Store) -> Learngene {
    condensed_with(ancestor, sizes, store, true)
}

fn condensed_with(
    ancestor: &Checkpoint,
    sizes: &[LayerSizes],
    store: Store,
    any_size: bool,
) -> Learngene {
    let store = Some(store);
    let options = FitOptions { ridge: 1e-6, any_size, store, ..FitOptions::default() };
    let worth = worth(ancestor);
    let images = &mut Images::new(|| images(IMAGES));
    let made = condense_to(running(ancestor), &worth, sizes, images, options);
    made.expect("good images")
}

fn verified(learngene: &Learngene, ancestor: &Checkpoint) -> Verification {
    let verification = verify(learngene, ancestor).expect("of the same shape");
    assert!(verification.is_verified(), "{verification:?}");
    verification
}

fn backbone() -> DescendantConfig {
    DescendantConfig { num_classes: Some(0), ..DescendantConfig::default() }
}

/// Mean square of what the learngene's own model changes of an ancestor's features.
fn error(learngene: &Learngene, ancestor: &Checkpoint) -> f32 {
    change(&expand(learngene, &backbone()).expect("as it is"), ancestor)
}

fn change(own: &Descendant, ancestor: &Checkpoint) -> f32 {
    let features = |shape, parameters| {
        let model = Model::load(shape, parameters, &Device::flex()).expect("its own parameters");
        let images = images(8).into_iter().map(|batch| batch.expect("infallible")).collect();
        model.features(Tensor::cat(images, 0))
    };
    let own = features(&own.shape, &own.parameters);
    let change = own - features(&ancestor.shape, &ancestor.parameters);
    change.powi_scalar(2).mean().into_scalar::<f32>()
}

#[test]
fn files_of_few_bits_are_small_and_come_back() {
    for ancestor in all_ancestors() {
        for sizes in [half(&ancestor), ancestor.shape.layer_sizes()] {
            let of = |store| condensed_to(&ancestor, &sizes, store);
            let made = [Store::F16, Store::Int8, Store::Int4].map(of);
            let tensor_bytes = |learngene: &Learngene| {
                let any_size = true;
                let shape = &learngene.manifest().shape;
                let shape = shape.with_num_classes(0).expect("possible");
                learngene_format::file_size(&shape, learngene.manifest().store, any_size).bytes
            };
            assert!(made.iter().map(tensor_bytes).is_sorted_by(|wide, narrow| wide > narrow));
            for learngene in &made {
                let bytes = learngene.to_bytes();
                assert_eq!(bytes, of(learngene.manifest().store).to_bytes());
                assert_eq!(&Learngene::from_bytes(&bytes).expect("its own bytes"), learngene);
                verified(learngene, &ancestor);
            }
        }
        let whole = ancestor.shape.layer_sizes();
        let of = |store| error(&condensed_to(&ancestor, &whole, store), &ancestor);
        let errors = [Store::F16, Store::Int8, Store::Int4].map(of);
        assert!(errors.is_sorted_by(|one, next| one < next), "{errors:?}");
    }
}

/// Matrices for fewer hidden units come from factors of 8 bits nearly as well as from those of f16.
#[test]
fn factors_of_8_bits_cost_little() {
    for ancestor in ancestors() {
        let whole = ancestor.shape.layer_sizes();
        let fewer = |(store, any_size)| {
            let learngene = condensed_with(&ancestor, &whole, store, any_size);
            let hidden_dim = whole.iter().map(|sizes| sizes.hidden_dim - 4).collect();
            let config = DescendantConfig { hidden_dim: Some(hidden_dim), ..backbone() };
            change(&expand(&learngene, &config).expect("fewer hidden units"), &ancestor)
        };
        let [f16, int8, without] =
            [(Store::F16, true), (Store::Int8, true), (Store::Int8, false)].map(fewer);
        assert!(int8 - f16 < 0.5 * (without - f16), "{f16}, {int8}, {without}");
    }
}

/// A head that was rounded by what it reads is the nearest of its ancestor's.
#[test]
fn heads_of_4_bits_are_found_and_others_are_not() {
    for ancestor in ancestors() {
        let learngene = condensed_to(&ancestor, &half(&ancestor), Store::Int4);
        let refitted = verified(&learngene, &ancestor).refitted;
        let is_first = |name: &&String| name.contains("fc1") || name.ends_with("qkv.bias");
        assert_eq!(refitted.iter().filter(is_first).count(), 3 * ancestor.shape.depth());
        let name = learngene.manifest().shape.parameters();
        let name =
            name.into_iter().find(|p| p.name.ends_with("qkv.weight")).expect("it has heads").name;
        let forged = edited(&learngene, &name, |weight| weight.values.reverse());
        let verification = verify(&forged, &ancestor).expect("of the same shape");
        let unverified = verification.heads.iter().filter(|head| !head.is_verified());
        assert_eq!(unverified.count(), learngene.manifest().shape.num_heads()[0]);
    }
}

/// Matrices are fitted to what the rounded ones before them leave, and rounded by what they read.
#[test]
fn rounding_while_fitting_is_better_than_rounding_afterwards() {
    for ancestor in ancestors() {
        let sizes = half(&ancestor);
        let fitted = condensed_to(&ancestor, &sizes, Store::Int4);
        let (mut manifest, tensors) = condensed_to(&ancestor, &sizes, Store::F32).into_parts();
        manifest.store = Store::Int4;
        let afterwards = Learngene::new(manifest, tensors).expect("finite numbers");
        let errors = [fitted, afterwards].map(|learngene| error(&learngene, &ancestor));
        assert!(errors[0] < errors[1], "{errors:?}");
    }
}

#[test]
fn heads_of_clusters_are_stored_in_few_bits_too() {
    for ancestor in ancestors() {
        for policy in [RepresentativePolicy::Nearest, RepresentativePolicy::Mean] {
            for store in [Store::Int8, Store::Int4] {
                let clusters = clusters(&ancestor, dbscan(10.0, policy), FfnParams::default());
                let of = |store| {
                    let options = CondenseOptions {
                        keep_projection: true,
                        classifier: true,
                        store: Some(store),
                    };
                    let made = condense(&ancestor, &distances(&ancestor), &clusters, options);
                    made.expect("a good ancestor")
                };
                let learngene = of(store);
                assert_eq!(verified(&learngene, &ancestor).refitted, [""; 0]);
                let refitted = |learngene: Learngene| {
                    let options =
                        FitOptions { any_size: false, store: Some(store), ..FitOptions::default() };
                    let sha256 = Sha256::of(b"images");
                    let images = &mut Images::new(|| images(IMAGES));
                    refit(learngene, running(&ancestor), images, sha256, options)
                };
                let fitted = refitted(of(Store::F32)).expect("good images");
                assert_eq!(fitted.manifest().store, store);
                verified(&fitted, &ancestor);
                let refused = refitted(learngene).expect_err("rounded").to_string();
                let message = "expected one whose matrices are not rounded yet";
                assert!(refused.ends_with(message), "{refused}");
            }
        }
    }
}

/// A head's columns of a projection share scales with the others', so the projection is compared whole.
#[test]
fn changed_levels_are_caught() {
    let ancestor = vit();
    let clusters =
        clusters(&ancestor, dbscan(1e-6, RepresentativePolicy::Nearest), FfnParams::default());
    let options = CondenseOptions { store: Some(Store::Int8), ..CondenseOptions::default() };
    let learngene = condense(&ancestor, &distances(&ancestor), &clusters, options);
    let (manifest, tensors) = learngene.expect("a good ancestor").into_parts();
    let (first, last) = ("blocks.0.attn.qkv.weight", "blocks.1.attn.proj.weight");
    let mut edited = tensors.clone();
    for name in [first, last] {
        let mut tensor = edited.remove(name).expect(name);
        tensor.values[1] *= -1.0;
        edited.insert(name, tensor);
    }
    let forged = Learngene::new(manifest, edited).expect("finite numbers");
    let verification = verify(&forged, &ancestor).expect("of the same shape");
    assert_eq!(verification.differing, [last]);
    let unverified = verification.heads.iter().filter(|head| !head.is_verified());
    let unverified: Vec<_> = unverified.map(|head| (head.layer, head.centroid)).collect();
    assert_eq!(unverified, [(0, 0)]);
}
