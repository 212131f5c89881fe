//! A small ancestor with numbers of its own in every head, and what is measured of it.

use burn::tensor::{Device, Tensor};
use learngene_format::Learngene;
use learngene_models::{
    Classifier, HostTensor, ModelConfig, StateDict, SwinConfig, VitConfig,
    checkpoint::{Checkpoint, Dialect, Dtype, PretrainedCfg},
};

use crate::{
    Algorithm, ClusterParams, CondenseOptions, Convention, FfnParams, HeadClusters,
    MeanAttentionDistances, NoisePolicy, Preprocess, Representative, cluster, cluster_ffns,
    condense,
    refit::{centroid_model, half_layers},
};

pub(crate) const EMBED_DIM: usize = 6;
pub(crate) const HEAD_DIM: usize = 2;

/// Two layers of four and two heads, the first wider than the embedding, the second narrower.
pub(crate) fn config() -> ModelConfig {
    VitConfig::new(EMBED_DIM, vec![4, 2], HEAD_DIM, 8)
        .with_image_size(8)
        .with_patch_size(4)
        .with_num_classes(3)
        .into()
}

/// Two stages of two layers: windows of 2 in 8 x 8 tokens, then in 4 x 4.
pub(crate) fn swin_config() -> ModelConfig {
    SwinConfig::new(EMBED_DIM, vec![vec![3, 2], vec![2, 4]], vec![HEAD_DIM, 4], vec![8, 12])
        .with_window_size(2)
        .with_image_size(16)
        .with_patch_size(2)
        .with_num_classes(3)
        .into()
}

/// A ViT of [`config`].
pub(crate) fn ancestor(seed: u64) -> Checkpoint {
    scattered(config(), seed)
}

/// A Swin of [`swin_config`].
pub(crate) fn swin_ancestor(seed: u64) -> Checkpoint {
    scattered(swin_config(), seed)
}

/// A checkpoint of scattered numbers that f16 holds exactly; another seed, another checkpoint.
pub(crate) fn scattered(config: ModelConfig, seed: u64) -> Checkpoint {
    let mut state = seed.wrapping_add(1);
    let mut draw = || {
        // The generator of Knuth's MMIX, of which the upper bits are the better ones.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) % 2047) as f32 / 1024.0 - 1.0
    };
    let shapes = config.parameter_shapes().into_iter();
    let parameters: StateDict = shapes
        .map(|(name, shape)| {
            let values = (0..shape.iter().product()).map(|_| draw()).collect();
            (name, HostTensor::new(shape, values))
        })
        .collect();
    Checkpoint {
        config,
        parameters,
        dtype: Dtype::F32,
        dialect: Dialect::Timm,
        pretrained_cfg: PretrainedCfg::default(),
        sha256: format!("{seed:064x}"),
        notes: Vec::new(),
    }
}

/// Heads 0 and 2 of the first layer lie within 10 px of each other, and so do the first two of all
/// others.
pub(crate) fn distances(ancestor: &Checkpoint) -> MeanAttentionDistances {
    let of_layer = |(layer, heads): (usize, usize)| match layer {
        0 => [40.0, 80.0, 44.0, 10.0][..heads].to_vec(),
        _ => [20.0, 21.0, 50.0, 90.0][..heads].to_vec(),
    };
    let densities = ancestor.config.num_heads().into_iter().enumerate().map(of_layer).collect();
    MeanAttentionDistances {
        images: Some(2),
        convention: Some(Convention::Renormalized),
        preprocess: Some(Preprocess {
            image_size: ancestor.config.image_size(),
            crop_pct: 0.9,
            mean: [0.5; 3],
            std: [0.25; 3],
        }),
        images_sha256: Some("0".repeat(64)),
        ancestor_sha256: Some(ancestor.sha256.clone()),
        ..MeanAttentionDistances::new(densities)
    }
}

pub(crate) fn dbscan(eps: f64, representative: Representative) -> ClusterParams {
    let noise = NoisePolicy::Singleton;
    let algorithm = Algorithm::Dbscan { eps: vec![eps], min_points: 1, noise };
    ClusterParams { algorithm, representative }
}

pub(crate) fn clusters(ancestor: &Checkpoint, params: ClusterParams) -> HeadClusters {
    let params = params.check().expect("possible parameters");
    cluster(&distances(ancestor), &params).expect("good distances")
}

/// Clusters of heads at 10 px, and these groups of feed-forward networks.
pub(crate) fn clusters_with_ffns(ancestor: &Checkpoint, params: FfnParams) -> HeadClusters {
    let params = params.check().expect("possible parameters");
    let ffn = cluster_ffns(&distances(ancestor), &ancestor.config.stages(), &params);
    let ffn = Some(ffn.expect("good groups"));
    HeadClusters { ffn, ..clusters(ancestor, dbscan(10.0, Representative::Nearest)) }
}

pub(crate) fn condensed(ancestor: &Checkpoint, params: ClusterParams) -> Learngene {
    condensed_as(ancestor, &clusters(ancestor, params))
}

pub(crate) fn condensed_as(ancestor: &Checkpoint, clusters: &HeadClusters) -> Learngene {
    let options = CondenseOptions { keep_projection: true, classifier: true };
    condense(ancestor, &distances(ancestor), clusters, options).expect("a good ancestor")
}

/// `[layer]`: mean squared difference of a learngene's feed-forward outputs from the ancestor's, on
/// the ancestor's tokens, relative to the variance of the latter.
pub(crate) fn ffn_errors(
    ancestor: &Checkpoint,
    learngene: &Learngene,
    images: impl IntoIterator<Item = Tensor<4>>,
) -> Vec<f64> {
    let device = Device::flex();
    let own = centroid_model(learngene, &ancestor.config, &device).expect("a learngene of it");
    let of_ancestor = ancestor.load(&device).expect("good parameters");
    let depth = ancestor.config.depth();
    let mut tokens = of_ancestor.embed(Tensor::cat(images.into_iter().collect(), 0));
    let mut errors = Vec::new();
    for layer in 0..depth {
        tokens = half_layers(&of_ancestor, tokens, 2 * layer..2 * layer + 1);
        let wanted = of_ancestor.feed_forward(layer, tokens.clone());
        let sum = |squares: Tensor<3>| f64::from(squares.powi_scalar(2).sum().into_scalar::<f32>());
        let mean = wanted.clone().mean_dim(1).mean_dim(0);
        let rest = own.feed_forward(layer, tokens.clone()) - wanted.clone();
        errors.push(sum(rest) / sum(wanted.clone() - mean));
        tokens = tokens + wanted;
    }
    errors
}
