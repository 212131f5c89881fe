//! A small ancestor, its learngene by hand, and logits to compare.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use learngene_format::{
    Ancestor, Architecture, ClusterAlgorithm, Clustering, Convention, Dtype, LayerClusters,
    Learngene, Manifest, NoisePolicy, Parameters, Preprocessing, Probe, RepresentativePolicy,
    Sha256, VERSION, VitArchitecture,
};
use learngene_models::{
    Classifier, Head, HeadLayout, HostTensor, Projection, StateDict, VitConfig,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::attention::columns_of;

/// Three layers of 3, 4 and 2 heads, so that no head count fits two layers by chance.
pub(super) fn tiny() -> VitConfig {
    VitConfig::new(24, vec![3, 4, 2], 8, 40)
        .with_image_size(16)
        .with_patch_size(4)
        .with_num_classes(5)
}

/// Parameters of which none is zero, biases among them: what is left out shows in the logits.
pub(super) fn random_parameters(config: &VitConfig) -> StateDict {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let shapes = config.parameter_shapes().into_iter();
    let random = |(name, shape): (String, Vec<usize>)| {
        let values = random_values(&mut rng, shape.iter().product());
        (name, HostTensor::new(shape, values))
    };
    shapes.map(random).collect()
}

/// Uniform in [-0.5, 0.5), zero left out.
fn random_values(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| ((rng.next_u32() | 1) as f64 / 2f64.powi(32) - 0.5) as f32).collect()
}

/// How a learngene is condensed by hand.
pub(super) struct Condensing {
    /// Cluster of each head, by layer; `None` for dropped heads.
    pub labels: Vec<Vec<Option<usize>>>,
    pub ffn_groups: Vec<Vec<usize>>,
    pub keep_projection: bool,
    pub classifier: bool,
    pub dtype: Dtype,
}

impl Condensing {
    /// Every head its own cluster, every layer its own feed-forward network, all else kept.
    pub(super) fn nothing_joined(config: &VitConfig) -> Self {
        Self {
            labels: config.num_heads.iter().map(|heads| (0..*heads).map(Some).collect()).collect(),
            ffn_groups: (0..config.depth()).map(|layer| vec![layer]).collect(),
            keep_projection: true,
            classifier: true,
            dtype: Dtype::F32,
        }
    }

    pub(super) fn condense(self, config: &VitConfig, parameters: &StateDict) -> Learngene {
        let layers: Vec<LayerClusters> =
            self.labels.iter().map(|labels| clusters(labels)).collect();
        let heads = Heads { config, parameters };
        let mut found: BTreeMap<String, HostTensor> = BTreeMap::new();
        for (name, tensor) in parameters.iter() {
            found.insert(name.replace("blocks.", "layers."), tensor.clone());
        }
        for (group, layers) in self.ffn_groups.iter().enumerate() {
            for name in ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"] {
                let tensor = found[&format!("layers.{}.mlp.{name}", layers[0])].clone();
                found.insert(format!("ffn.{group}.{name}"), tensor);
            }
        }
        for (layer, clusters) in layers.iter().enumerate() {
            let origin = found[&format!("layers.{layer}.attn.proj.weight")].clone();
            found.insert(format!("layers.{layer}.attn.proj.origin"), origin);
            for (name, tensor) in heads.centroids(layer, &clusters.representatives) {
                found.insert(format!("layers.{layer}.attn.{name}"), tensor);
            }
        }
        let manifest = self.manifest(config, layers);
        let wanted = manifest.expected_tensors().expect("a consistent manifest").into_keys();
        let tensors = wanted.map(|name| {
            let HostTensor { shape, values } = &found[&name];
            let tensor = learngene_format::Tensor::from_f32(manifest.dtype, shape.clone(), values);
            (name, tensor.expect("as many values as the shape holds"))
        });
        Learngene::new(manifest.clone(), tensors.collect()).expect("a whole learngene")
    }

    fn manifest(self, config: &VitConfig, layers: Vec<LayerClusters>) -> Manifest {
        let distance = |head: usize| ((head * 7 + 3) % 5) as f64 * 4.0;
        let distances = config.num_heads.iter().map(|heads| (0..*heads).map(distance).collect());
        Manifest {
            version: VERSION,
            producer: "test".into(),
            architecture: Architecture::Vit(VitArchitecture {
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
            }),
            ancestor: Ancestor { sha256: Sha256::of(b"ancestor"), parameters: 1 },
            probe: Probe {
                images: 1,
                images_sha256: Sha256::of(b"images"),
                preprocessing: Preprocessing {
                    image_size: config.image_size,
                    crop_pct: 1.0,
                    mean: [0.5; 3],
                    std: [0.5; 3],
                },
                convention: Convention::Renormalized,
                mean_attention_distance: distances.collect(),
                std: config.num_heads.iter().map(|heads| vec![None; *heads]).collect(),
            },
            clustering: Clustering {
                algorithm: ClusterAlgorithm::Dbscan {
                    eps: 1.0,
                    min_points: 1,
                    noise: NoisePolicy::Drop,
                },
                representative: RepresentativePolicy::Nearest,
            },
            layers,
            ffn_groups: self.ffn_groups,
            dtype: self.dtype,
            keep_projection: self.keep_projection,
            classifier: self.classifier,
            parameters: Parameters::default(),
            tensors: BTreeMap::new(),
        }
    }
}

/// Clusters in order of priority; the last member stands for each.
fn clusters(labels: &[Option<usize>]) -> LayerClusters {
    let size = |label: usize| labels.iter().filter(|found| **found == Some(label)).count();
    let count = labels.iter().flatten().max().map_or(0, |label| label + 1);
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|label| std::cmp::Reverse(size(*label)));
    let last = |label: &usize| labels.iter().rposition(|found| *found == Some(*label));
    LayerClusters {
        labels: labels.to_vec(),
        sizes: order.iter().map(|label| size(*label)).collect(),
        representatives: order.iter().map(|label| last(label).expect("a member")).collect(),
        clusters: order,
    }
}

/// The ancestor, head by head.
pub(super) struct Heads<'a> {
    pub config: &'a VitConfig,
    pub parameters: &'a StateDict,
}

impl Heads<'_> {
    fn read(&self, layer: usize, name: &str) -> &[f32] {
        let name = format!("blocks.{layer}.attn.{name}");
        &self.parameters.get(&name).expect("a parameter of the shape").values
    }

    fn layout(&self, layer: usize) -> HeadLayout {
        self.config.head_layout(layer)
    }

    /// Weight `[head_dim, embed_dim]` and bias `[head_dim]` of a head.
    pub(super) fn rows(&self, layer: usize, of: Projection, head: usize) -> (&[f32], &[f32]) {
        let rows = self.layout(layer).rows(of, Head(head));
        let embed_dim = self.config.embed_dim;
        let weight = &self.read(layer, "qkv.weight")[rows.start * embed_dim..rows.end * embed_dim];
        (weight, &self.read(layer, "qkv.bias")[rows])
    }

    /// Columns of the output projection, `[embed_dim, head_dim]`.
    pub(super) fn columns(&self, layer: usize, head: usize) -> Vec<f32> {
        columns_of(self.read(layer, "proj.weight"), self.layout(layer), Head(head))
    }

    /// The learngene's tensors of these heads.
    fn centroids(&self, layer: usize, heads: &[usize]) -> Vec<(String, HostTensor)> {
        let (count, head_dim) = (heads.len(), self.config.head_dim);
        let embed_dim = self.config.embed_dim;
        let mut tensors = Vec::new();
        for of in Projection::ALL {
            let rows: Vec<_> = heads.iter().map(|head| self.rows(layer, of, *head)).collect();
            let weight: Vec<f32> = rows.iter().flat_map(|(weight, _)| *weight).copied().collect();
            let bias: Vec<f32> = rows.iter().flat_map(|(_, bias)| *bias).copied().collect();
            let weight = HostTensor::new([count, head_dim, embed_dim], weight);
            tensors.push((format!("{}.weight", of.letter()), weight));
            tensors
                .push((format!("{}.bias", of.letter()), HostTensor::new([count, head_dim], bias)));
        }
        let columns: Vec<f32> = heads.iter().flat_map(|head| self.columns(layer, *head)).collect();
        let columns = HostTensor::new([count, embed_dim, head_dim], columns);
        tensors.push(("proj.weight".into(), columns));
        tensors
    }
}

/// Two images that are the same in every test.
pub(super) fn images(config: &VitConfig, device: &Device) -> Tensor<4> {
    let side = config.image_size;
    let values = random_values(&mut ChaCha8Rng::seed_from_u64(9), 2 * 3 * side * side);
    Tensor::from_data(TensorData::new(values, [2, 3, side, side]), device)
}

/// What a model says of the two images.
pub(super) fn logits(config: &VitConfig, parameters: &StateDict) -> Vec<f32> {
    let device = Device::flex();
    let vit = config.load(parameters, &device).expect("the parameters fit the shape");
    let logits = vit.forward(images(config, &device)).into_data();
    logits.try_into_vec().expect("flex computes in f32")
}

/// The largest difference of two outputs.
pub(super) fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "outputs of one shape");
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
