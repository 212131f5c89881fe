//! Descendants of every scale that can be asked for.

use std::sync::LazyLock;

use burn::tensor::{Device, Tensor};
use learngene_expansion::{
    DepthPolicy, DescendantConfig, HeadPolicy, LayerPolicy, Order, ProjectionPolicy,
};
use learngene_format::Learngene;
use learngene_models::Classifier;
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::support::{
    NOTHING_JOINED, SOME_JOINED, condensed, descendant, images, load, measure, tiny_ancestor,
    values,
};

/// Layers of the ancestor; each has six heads.
const DEPTH: usize = 3;

/// Learngenes of one ancestor: some heads joined, and none.
static LEARNGENES: LazyLock<[Learngene; 2]> = LazyLock::new(|| {
    let ancestor = tiny_ancestor();
    let distances = measure(&ancestor, 8, 8);
    [SOME_JOINED, NOTHING_JOINED].map(|eps| condensed(&ancestor, &distances, eps))
});

fn layer_policy(depth: usize) -> impl Strategy<Value = LayerPolicy> {
    prop_oneof![
        Just(LayerPolicy::Front),
        Just(LayerPolicy::Even),
        Just(LayerPolicy::Last),
        vec(0..DEPTH, depth).prop_map(LayerPolicy::List),
    ]
}

fn head_policy(depth: usize) -> impl Strategy<Value = HeadPolicy> {
    // Ratios that six heads can be divided by.
    let ratio = select(vec!["x1/6", "x1/3", "x1/2", "x2/3", "x1", "x3/2", "x2", "x4"]);
    prop_oneof![
        Just(HeadPolicy::SameAsAncestor),
        (1usize..=9).prop_map(HeadPolicy::Count),
        vec(1usize..=9, depth).prop_map(HeadPolicy::List),
        ratio.prop_map(|text| text.parse().expect("a ratio")),
        Just(HeadPolicy::Incrementing),
        Just(HeadPolicy::Decrementing),
    ]
}

fn config() -> impl Strategy<Value = DescendantConfig> {
    use ProjectionPolicy::{Centroid, Origin, Rescaled};

    let orders = vec![Order::Origin, Order::Increasing, Order::Decreasing, Order::Priority];
    (1usize..=16).prop_flat_map(move |depth| {
        (
            layer_policy(depth),
            head_policy(depth),
            select(orders.clone()),
            select(vec![Origin, Centroid, Rescaled]),
            option::of(select(vec![8, 16, 24])),
        )
            .prop_map(move |(layers, heads, order, projection, image_size)| {
                DescendantConfig {
                    depth: depth.into(),
                    layers,
                    heads,
                    order,
                    projection: Some(projection),
                    image_size,
                    ..Default::default()
                }
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Every descendant that can be asked for is built, runs, and is as large as its shape says.
    #[test]
    fn every_scale_builds_and_runs(config in config(), joined in any::<bool>()) {
        let depth = config.depth.clone();
        let ours = descendant(&LEARNGENES[usize::from(!joined)], config);
        prop_assert_eq!(DepthPolicy::Count(ours.shape.depth()), depth);
        let slots: Vec<usize> = ours.slots.iter().map(Vec::len).collect();
        prop_assert_eq!(&slots, &ours.shape.num_heads());

        let device = Device::flex();
        let vit = load(&ours.shape, &ours.parameters, &device);
        prop_assert_eq!(vit.shape(), ours.shape.clone());
        let held = vit.state_dict().num_parameters() as u64;
        prop_assert_eq!(ours.shape.count_parameters(), held);

        let input: Tensor<4> = images(2, ours.shape.image().size, &device);
        let logits = vit.forward(input);
        prop_assert_eq!(logits.dims(), [2, 10]);
        prop_assert!(values(logits).iter().all(|value| value.is_finite()));
    }
}
