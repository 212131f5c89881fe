//! From an ancestor's checkpoint, its densities and clusters to the learngene.

use std::collections::BTreeMap;

use learngene_format as format;
use learngene_format::{Learngene, Manifest, Tensor};
use learngene_models::{
    Head, HeadLayout, HostTensor, Projection, StateDict, VitConfig,
    checkpoint::{Checkpoint, Dtype},
};

use crate::{
    cluster::{Algorithm, ClusterParams, HeadClusters, LayerClusters, NoisePolicy, Representative},
    distances::{Convention, MeanAttentionDistances},
    error::ClusteringError,
};

/// What a learngene holds beside its centroids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CondenseOptions {
    /// Keeps each layer's whole output projection, which the projection policy `origin` needs.
    pub keep_projection: bool,
    /// Keeps the ancestor's classifier, where it has one.
    pub classifier: bool,
}

/// Condenses an ancestor into a learngene: of each cluster one head, whole, and everything that
/// every descendant needs (method.md, section 4).
///
/// A head is its query, key and value rows and biases and the columns of the output projection
/// that read it. Under [`Representative::Mean`] each of these is averaged over the cluster.
///
/// # Errors
/// When distances or clusters were made of another checkpoint or do not say how, or a tensor is
/// missing or not finite.
pub fn condense(
    ancestor: &Checkpoint,
    distances: &MeanAttentionDistances,
    clusters: &HeadClusters,
    options: CondenseOptions,
) -> Result<Learngene, ClusteringError> {
    check_match(ancestor, distances, clusters)?;
    let classifier = options.classifier && ancestor.config.num_classes > 0;
    let manifest = Manifest {
        version: format::VERSION,
        producer: crate::PRODUCER.into(),
        architecture: format::Architecture::Vit(architecture(&ancestor.config)),
        ancestor: format::Ancestor {
            sha256: sha256(&ancestor.sha256, "checkpoint's hash")?,
            parameters: ancestor.parameters.num_parameters() as u64,
        },
        probe: probe(distances)?,
        clustering: clustering(&clusters.parameters),
        layers: clusters.layers.iter().map(layer_clusters).collect(),
        ffn_groups: (0..ancestor.config.depth()).map(|layer| vec![layer]).collect(),
        dtype: dtype(ancestor.dtype),
        keep_projection: options.keep_projection,
        classifier,
        parameters: format::Parameters::default(),
        tensors: BTreeMap::new(),
    };

    let source = Source { parameters: &ancestor.parameters, config: &ancestor.config };
    let mean = clusters.parameters.representative == Representative::Mean;
    let tensors = manifest.expected_tensors()?.into_keys().map(|name| {
        let tensor = source.tensor(&name, &clusters.layers, mean)?;
        let tensor = Tensor::from_f32(manifest.dtype, tensor.shape, &tensor.values)?;
        Ok((name, tensor))
    });
    let tensors = tensors.collect::<Result<BTreeMap<_, _>, ClusteringError>>()?;
    Ok(Learngene::new(manifest, tensors)?)
}

/// The ancestor's parameters, read head by head.
struct Source<'a> {
    parameters: &'a StateDict,
    config: &'a VitConfig,
}

impl Source<'_> {
    /// The tensor that a learngene stores under a name.
    fn tensor(
        &self,
        name: &str,
        layers: &[LayerClusters],
        mean: bool,
    ) -> Result<HostTensor, ClusteringError> {
        if let Some((group, rest)) = name.strip_prefix("ffn.").and_then(|rest| rest.split_once('.'))
        {
            return self.get(&format!("blocks.{group}.mlp.{rest}")).cloned();
        }
        let Some((layer, rest)) =
            name.strip_prefix("layers.").and_then(|rest| rest.split_once('.'))
        else {
            return self.get(name).cloned();
        };
        let block = format!("blocks.{layer}");
        let layer: usize = layer.parse().expect("the format numbers its layers");
        let layout = self.config.head_layout(layer);
        let role = Projection::ALL
            .into_iter()
            .find(|role| rest.starts_with(&format!("attn.{}.", role.letter())));
        let part = match (rest, role) {
            ("attn.proj.origin", _) => {
                return self.get(&format!("{block}.attn.proj.weight")).cloned();
            }
            ("attn.proj.weight", _) => {
                let weight = self.get(&format!("{block}.attn.proj.weight"))?;
                Part {
                    shape: vec![self.config.embed_dim, layout.head_dim],
                    head: Box::new(move |head| columns(weight, layout, head)),
                }
            }
            (_, Some(role)) => {
                let suffix = &rest["attn.q.".len()..];
                let fused = self.get(&format!("{block}.attn.qkv.{suffix}"))?;
                let shape = [&[layout.head_dim], &fused.shape[1..]].concat();
                Part { shape, head: Box::new(move |head| rows(fused, layout, role, head)) }
            }
            _ => return self.get(&format!("{block}.{rest}")).cloned(),
        };
        Ok(part.centroids(&layers[layer], mean))
    }

    fn get(&self, name: &str) -> Result<&HostTensor, ClusteringError> {
        self.parameters
            .get(name)
            .ok_or_else(|| ClusteringError::MissingTensor { name: name.to_owned() })
    }
}

/// One part of every head of a layer, such as its query weight.
struct Part<'a> {
    shape: Vec<usize>,
    head: Box<dyn Fn(Head) -> Vec<f32> + 'a>,
}

impl Part<'_> {
    /// The part of each cluster's centroid, in order of priority: `[centroids, ..shape]`.
    fn centroids(&self, clusters: &LayerClusters, mean: bool) -> HostTensor {
        let centroids = clusters.clusters.iter().zip(&clusters.representatives);
        let values = centroids.flat_map(|(cluster, representative)| {
            let members = if mean { clusters.members(*cluster) } else { vec![*representative] };
            average(members.into_iter().map(|head| (self.head)(Head(head))))
        });
        let values: Vec<f32> = values.collect();
        HostTensor::new([&[clusters.sizes.len()], &self.shape[..]].concat(), values)
    }
}

/// Mean of equally long parts, in f64; a single one is kept to the bit.
fn average(parts: impl ExactSizeIterator<Item = Vec<f32>>) -> Vec<f32> {
    let count = parts.len() as f64;
    let sums = parts.fold(Vec::new(), |sums: Vec<f64>, part| match sums.is_empty() {
        true => part.into_iter().map(f64::from).collect(),
        false => sums.into_iter().zip(part).map(|(sum, value)| sum + f64::from(value)).collect(),
    });
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

/// Rows of a fused `qkv` weight or entries of its bias: `[head_dim, ..]`.
fn rows(fused: &HostTensor, layout: HeadLayout, role: Projection, head: Head) -> Vec<f32> {
    let width: usize = fused.shape[1..].iter().product();
    let rows = layout.rows(role, head);
    fused.values[rows.start * width..rows.end * width].to_vec()
}

/// Columns of the output projection that read one head: `[embed_dim, head_dim]`.
fn columns(projection: &HostTensor, layout: HeadLayout, head: Head) -> Vec<f32> {
    let columns = layout.columns(head);
    projection
        .values
        .chunks_exact(layout.attention_dim())
        .flat_map(|row| &row[columns.clone()])
        .copied()
        .collect()
}

fn check_match(
    ancestor: &Checkpoint,
    distances: &MeanAttentionDistances,
    clusters: &HeadClusters,
) -> Result<(), ClusteringError> {
    distances.check()?;
    let same = |what, source_file, got: String, want: String| match got == want {
        true => Ok(()),
        false => Err(ClusteringError::Mismatch { what, source_file, got, want }),
    };
    let heads = |heads: &[usize]| format!("{heads:?}");
    let want = heads(&ancestor.config.num_heads);
    same("heads per layer", "distances", heads(&distances.num_heads()), want.clone())?;
    let labelled: Vec<usize> = clusters.layers.iter().map(|layer| layer.labels.len()).collect();
    same("heads per layer", "clusters", heads(&labelled), want)?;
    for (file, hash) in
        [("distances", &distances.ancestor_sha256), ("clusters", &clusters.ancestor_sha256)]
    {
        if let Some(hash) = hash {
            same("ancestor hash", file, hash.clone(), ancestor.sha256.clone())?;
        }
    }
    Ok(())
}

fn architecture(config: &VitConfig) -> format::VitArchitecture {
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

fn probe(distances: &MeanAttentionDistances) -> Result<format::Probe, ClusteringError> {
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

fn clustering(params: &ClusterParams) -> format::Clustering {
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
        Algorithm::KMeans { k, seed, .. } => {
            format::ClusterAlgorithm::Kmeans { k: k.clone(), seed: *seed }
        }
    };
    let representative = match params.representative {
        Representative::Nearest => format::RepresentativePolicy::Nearest,
        Representative::Mean => format::RepresentativePolicy::Mean,
    };
    format::Clustering { algorithm, representative }
}

fn layer_clusters(layer: &LayerClusters) -> format::LayerClusters {
    format::LayerClusters {
        labels: layer.labels.clone(),
        sizes: layer.sizes.clone(),
        representatives: layer.representatives.clone(),
        clusters: layer.clusters.clone(),
    }
}

fn dtype(dtype: Dtype) -> format::Dtype {
    match dtype {
        Dtype::F32 => format::Dtype::F32,
        Dtype::F16 => format::Dtype::F16,
        Dtype::BF16 => format::Dtype::BF16,
    }
}

fn sha256(text: &str, field: &'static str) -> Result<format::Sha256, ClusteringError> {
    text.parse().map_err(|_| ClusteringError::Hash { field, got: text.to_owned() })
}
