//! A small ancestor with numbers of its own in every head, and what is measured of it.

use learngene_format::Learngene;
use learngene_models::{
    HostTensor, StateDict, VitConfig,
    checkpoint::{Checkpoint, Dialect, Dtype},
};

use crate::{
    Algorithm, ClusterParams, CondenseOptions, Convention, HeadClusters, MeanAttentionDistances,
    NoisePolicy, Preprocess, Representative, cluster, condense,
};

pub(crate) const EMBED_DIM: usize = 6;
pub(crate) const HEAD_DIM: usize = 2;

/// Two layers of four and two heads, the first wider than the embedding, the second narrower.
pub(crate) fn config() -> VitConfig {
    VitConfig::new(EMBED_DIM, vec![4, 2], HEAD_DIM, 8)
        .with_image_size(8)
        .with_patch_size(4)
        .with_num_classes(3)
}

/// A checkpoint of scattered numbers that f16 holds exactly; another seed, another checkpoint.
pub(crate) fn ancestor(seed: u64) -> Checkpoint {
    let mut state = seed.wrapping_add(1);
    let mut draw = || {
        // The generator of Knuth's MMIX, of which the upper bits are the better ones.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) % 2047) as f32 / 1024.0 - 1.0
    };
    let shapes = config().parameter_shapes().into_iter();
    let parameters: StateDict = shapes
        .map(|(name, shape)| {
            let values = (0..shape.iter().product()).map(|_| draw()).collect();
            (name, HostTensor::new(shape, values))
        })
        .collect();
    Checkpoint {
        config: config(),
        parameters,
        dtype: Dtype::F32,
        dialect: Dialect::Timm,
        sha256: format!("{seed:064x}"),
        notes: Vec::new(),
    }
}

/// Heads 0 and 2 of the first layer lie within 10 px of each other, and so do both of the second.
pub(crate) fn distances(ancestor: &Checkpoint) -> MeanAttentionDistances {
    MeanAttentionDistances {
        images: Some(2),
        convention: Some(Convention::Renormalized),
        preprocess: Some(Preprocess {
            image_size: 8,
            crop_pct: 0.9,
            mean: [0.5; 3],
            std: [0.25; 3],
        }),
        images_sha256: Some("0".repeat(64)),
        ancestor_sha256: Some(ancestor.sha256.clone()),
        ..MeanAttentionDistances::new(vec![vec![40.0, 80.0, 44.0, 10.0], vec![20.0, 21.0]])
    }
}

pub(crate) fn dbscan(eps: f64, representative: Representative) -> ClusterParams {
    let noise = NoisePolicy::Singleton;
    ClusterParams { algorithm: Algorithm::Dbscan { eps, min_points: 1, noise }, representative }
}

pub(crate) fn clusters(ancestor: &Checkpoint, params: ClusterParams) -> HeadClusters {
    let params = params.check().expect("possible parameters");
    cluster(&distances(ancestor), &params).expect("good distances")
}

pub(crate) fn condensed(ancestor: &Checkpoint, params: ClusterParams) -> Learngene {
    let clusters = clusters(ancestor, params);
    let options = CondenseOptions { keep_projection: true, classifier: true };
    condense(ancestor, &distances(ancestor), &clusters, options).expect("a good ancestor")
}
