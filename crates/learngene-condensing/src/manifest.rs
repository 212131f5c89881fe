//! What a learngene says of how it was made, in the words of its format.

use learngene_format as format;
use learngene_models::{ModelConfig, checkpoint::Dtype};

use crate::{
    cluster::{
        Algorithm, FfnAlgorithm, FfnClusters, FfnGroup, FfnNorm, FfnParams, HeadClusters,
        LayerClusters, NoisePolicy, Representative, for_each_layer,
    },
    distances::{Convention, MeanAttentionDistances},
    error::ClusteringError,
};

pub(crate) fn architecture(config: &ModelConfig) -> format::Architecture {
    match config {
        ModelConfig::Vit(vit) => format::Architecture::Vit(format::VitArchitecture {
            image_size: vit.image_size,
            patch_size: vit.patch_size,
            in_channels: vit.in_channels,
            embed_dim: vit.embed_dim,
            depth: vit.depth(),
            num_heads: vit.num_heads.clone(),
            head_dim: vit.head_dim,
            mlp_hidden_dim: vit.mlp_hidden_dim,
            num_classes: vit.num_classes,
            layer_norm_eps: vit.layer_norm_eps,
        }),
        ModelConfig::Swin(swin) => format::Architecture::Swin(format::SwinArchitecture {
            image_size: swin.image_size,
            patch_size: swin.patch_size,
            window_size: swin.window_size,
            in_channels: swin.in_channels,
            embed_dim: swin.embed_dim,
            depths: swin.depths(),
            num_heads: swin.num_heads.concat(),
            head_dim: swin.head_dim.clone(),
            mlp_hidden_dim: swin.mlp_hidden_dim.clone(),
            num_classes: swin.num_classes,
            layer_norm_eps: swin.layer_norm_eps,
        }),
    }
}

/// Checks all that shapes of inherited tensors depend on.
pub(crate) fn check_architecture(
    learngene: &format::Architecture,
    ancestor: &format::Architecture,
) -> Result<(), ClusteringError> {
    for ((what, got), (_, want)) in fields(learngene).into_iter().zip(fields(ancestor)) {
        if got != want {
            return Err(ClusteringError::Mismatch { what, source_file: "learngene", got, want });
        }
    }
    Ok(())
}

/// All that shapes of inherited tensors depend on, the family first: fields of one family alone
/// are compared.
fn fields(architecture: &format::Architecture) -> Vec<(&'static str, String)> {
    match architecture {
        format::Architecture::Vit(vit) => vec![
            ("family", "vit".into()),
            ("image_size", format!("{} px", vit.image_size)),
            ("patch_size", format!("{} px", vit.patch_size)),
            ("in_channels", vit.in_channels.to_string()),
            ("embed_dim", vit.embed_dim.to_string()),
            ("number of heads per layer", format!("{:?}", vit.num_heads)),
            ("head_dim", vit.head_dim.to_string()),
            ("mlp_hidden_dim", vit.mlp_hidden_dim.to_string()),
        ],
        format::Architecture::Swin(swin) => vec![
            ("family", "swin".into()),
            ("image_size", format!("{} px", swin.image_size)),
            ("patch_size", format!("{} px", swin.patch_size)),
            ("window_size", format!("{} tokens", swin.window_size)),
            ("in_channels", swin.in_channels.to_string()),
            ("embed_dim", swin.embed_dim.to_string()),
            ("number of layers per stage", format!("{:?}", swin.depths)),
            ("number of heads per layer", format!("{:?}", swin.num_heads)),
            ("head_dim per stage", format!("{:?}", swin.head_dim)),
            ("mlp_hidden_dim per stage", format!("{:?}", swin.mlp_hidden_dim)),
        ],
    }
}

pub(crate) fn probe(distances: &MeanAttentionDistances) -> Result<format::Probe, ClusteringError> {
    let absent = |field| ClusteringError::Unmeasured { field };
    let preprocess = distances.preprocess.as_ref().ok_or(absent("preprocess"))?;
    let hash = distances.images_sha256.as_ref().ok_or(absent("images_sha256"))?;
    let unknown = || distances.mean_attention_distance.iter().map(|heads| vec![None; heads.len()]);
    Ok(format::Probe {
        images: distances.images.ok_or(absent("images"))?,
        images_sha256: sha256(hash, "images_sha256")?,
        preprocessing: format::Preprocessing {
            image_size: preprocess.image_size,
            crop_pct: preprocess.crop_pct,
            mean: preprocess.mean,
            std: preprocess.std,
        },
        convention: match distances.convention.ok_or(absent("convention"))? {
            Convention::Renormalized => format::Convention::Renormalized,
            Convention::Published => format::Convention::Published,
        },
        mean_attention_distance: distances.mean_attention_distance.clone(),
        std: distances.std.clone().unwrap_or_else(|| unknown().collect()),
    })
}

pub(crate) fn clustering(clusters: &HeadClusters, depth: usize) -> format::Clustering {
    let params = &clusters.parameters;
    // One entry may stand for all layers here, but the format has one for each.
    let algorithm = match &params.algorithm {
        Algorithm::Dbscan { eps, min_points, noise } => format::ClusterAlgorithm::Dbscan {
            eps: for_each_layer(eps, depth),
            min_points: *min_points,
            noise: match noise {
                NoisePolicy::Singleton => format::NoisePolicy::Singleton,
                NoisePolicy::Nearest => format::NoisePolicy::Nearest,
                NoisePolicy::Drop => format::NoisePolicy::Drop,
            },
        },
        Algorithm::KMeans { k, seed, .. } => {
            format::ClusterAlgorithm::Kmeans { k: for_each_layer(k, depth), seed: *seed }
        }
    };
    format::Clustering {
        algorithm,
        representative: representative(params.representative),
        random_heads: clusters.random_heads,
    }
}

pub(crate) fn layer_clusters(layer: &LayerClusters) -> format::LayerClusters {
    format::LayerClusters {
        labels: layer.labels.clone(),
        sizes: layer.sizes.clone(),
        representatives: layer.representatives.clone(),
        clusters: layer.clusters.clone(),
    }
}

/// Groups of feed-forward networks, each layer on its own where there are no clusters.
pub(crate) fn ffn(clusters: Option<&FfnClusters>, depth: usize) -> format::Ffn {
    let alone = FfnParams::default();
    let params = clusters.map_or(&alone, |clusters| &clusters.parameters);
    let group = |group: &FfnGroup| format::FfnGroup {
        layers: group.layers.clone(),
        representative: group.representative,
    };
    format::Ffn {
        algorithm: match &params.algorithm {
            FfnAlgorithm::None => format::FfnAlgorithm::None,
            FfnAlgorithm::Contiguous { eps } => {
                format::FfnAlgorithm::Contiguous { eps: for_each_layer(eps, depth) }
            }
            FfnAlgorithm::Given { .. } => format::FfnAlgorithm::Given,
        },
        representative: representative(params.representative),
        norm: match params.norm {
            FfnNorm::Representative => format::FfnNorm::Representative,
            FfnNorm::Own => format::FfnNorm::Own,
        },
        groups: match clusters {
            Some(clusters) => clusters.groups.iter().map(group).collect(),
            None => (0..depth)
                .map(|layer| format::FfnGroup { layers: vec![layer], representative: layer })
                .collect(),
        },
    }
}

fn representative(policy: Representative) -> format::RepresentativePolicy {
    match policy {
        Representative::Nearest => format::RepresentativePolicy::Nearest,
        Representative::Mean => format::RepresentativePolicy::Mean,
    }
}

pub(crate) fn dtype(dtype: Dtype) -> format::Dtype {
    match dtype {
        Dtype::F32 => format::Dtype::F32,
        Dtype::F16 => format::Dtype::F16,
        Dtype::BF16 => format::Dtype::BF16,
    }
}

pub(crate) fn sha256(text: &str, field: &'static str) -> Result<format::Sha256, ClusteringError> {
    text.parse().map_err(|_| ClusteringError::Hash { field, got: text.to_owned() })
}
