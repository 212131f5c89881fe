//! What a learngene says of how it was made, in the words of its format.

use learngene_format as format;
use learngene_models::{VitConfig, checkpoint::Dtype};

use crate::{
    cluster::{Algorithm, ClusterParams, LayerClusters, NoisePolicy, Representative},
    distances::{Convention, MeanAttentionDistances},
    error::ClusteringError,
};

pub(crate) fn architecture(config: &VitConfig) -> format::VitArchitecture {
    format::VitArchitecture {
        image_size: config.image_size,
        patch_size: config.patch_size,
        in_channels: config.in_channels,
        embed_dim: config.embed_dim,
        depth: config.depth(),
        num_heads: config.num_heads.clone(),
        head_dim: config.head_dim,
        mlp_hidden_dim: config.mlp_hidden_dim,
        num_classes: config.num_classes,
        layer_norm_eps: config.layer_norm_eps,
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

pub(crate) fn clustering(params: &ClusterParams, depth: usize) -> format::Clustering {
    let algorithm = match &params.algorithm {
        Algorithm::Dbscan { eps, min_points, noise } => format::ClusterAlgorithm::Dbscan {
            eps: *eps,
            min_points: *min_points,
            noise: match noise {
                NoisePolicy::Singleton => format::NoisePolicy::Singleton,
                NoisePolicy::Nearest => format::NoisePolicy::Nearest,
                NoisePolicy::Drop => format::NoisePolicy::Drop,
            },
        },
        // One k stands for all layers here, but the format has one for each.
        Algorithm::KMeans { k, seed, .. } => format::ClusterAlgorithm::Kmeans {
            k: if let [k] = k[..] { vec![k; depth] } else { k.clone() },
            seed: *seed,
        },
    };
    let representative = match params.representative {
        Representative::Nearest => format::RepresentativePolicy::Nearest,
        Representative::Mean => format::RepresentativePolicy::Mean,
    };
    format::Clustering { algorithm, representative }
}

pub(crate) fn layer_clusters(layer: &LayerClusters) -> format::LayerClusters {
    format::LayerClusters {
        labels: layer.labels.clone(),
        sizes: layer.sizes.clone(),
        representatives: layer.representatives.clone(),
        clusters: layer.clusters.clone(),
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
