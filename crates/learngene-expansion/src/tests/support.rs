//! A small ancestor, its learngene by hand, and logits to compare.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use learngene_format::{
    Ancestor, Architecture, ClusterAlgorithm, Clustering, Convention, Dtype, Ffn, FfnAlgorithm,
    FfnGroup, FfnNorm, LayerClusters, Learngene, Manifest, NoisePolicy, Parameters, Preprocessing,
    Probe, RepresentativePolicy, Sha256, SwinArchitecture, VERSION, VitArchitecture,
};
use learngene_models::{
    Classifier, Head, HeadLayout, HostTensor, ModelConfig, Projection, StateDict, SwinConfig,
    VitConfig,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::attention::columns_of;

/// Three layers of 3, 4 and 2 heads, so that no head count fits two layers by chance.
pub(super) fn tiny_vit() -> VitConfig {
    VitConfig::new(24, vec![3, 4, 2], 8, 40)
        .with_image_size(16)
        .with_patch_size(4)
        .with_num_classes(5)
}

pub(super) fn tiny() -> ModelConfig {
    tiny_vit().into()
}

/// The same heads in two stages, of which the second is one window.
pub(super) fn tiny_swin() -> ModelConfig {
    SwinConfig::new(12, vec![vec![3, 4], vec![2]], vec![8, 8], vec![20, 40])
        .with_window_size(2)
        .with_image_size(16)
        .with_patch_size(4)
        .with_num_classes(5)
        .into()
}

/// Parameters of which none is zero, biases among them: what is left out shows in the logits.
pub(super) fn random_parameters(config: &ModelConfig) -> StateDict {
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
    pub(super) fn nothing_joined(config: &ModelConfig) -> Self {
        Self {
            labels: config
                .num_heads()
                .iter()
                .map(|heads| (0..*heads).map(Some).collect())
                .collect(),
            ffn_groups: (0..config.depth()).map(|layer| vec![layer]).collect(),
            keep_projection: true,
            classifier: true,
            dtype: Dtype::F32,
        }
    }

    pub(super) fn condense(self, config: &ModelConfig, parameters: &StateDict) -> Learngene {
        let layers: Vec<LayerClusters> =
            self.labels.iter().map(|labels| clusters(labels)).collect();
        let heads = Heads { config, parameters };
        let mut found: BTreeMap<String, HostTensor> = BTreeMap::new();
        for (name, tensor) in parameters.iter() {
            found.insert(learngene_name(config, name), tensor.clone());
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

    fn ffn(&self) -> Ffn {
        let is_joined = self.ffn_groups.iter().any(|layers| layers.len() > 1);
        let group =
            |layers: &Vec<usize>| FfnGroup { representative: layers[0], layers: layers.clone() };
        Ffn {
            algorithm: if is_joined { FfnAlgorithm::Given } else { FfnAlgorithm::None },
            representative: RepresentativePolicy::Nearest,
            norm: FfnNorm::Own,
            groups: self.ffn_groups.iter().map(group).collect(),
        }
    }

    fn manifest(&self, config: &ModelConfig, layers: Vec<LayerClusters>) -> Manifest {
        let distance = |head: usize| ((head * 7 + 3) % 5) as f64 * 4.0;
        let num_heads = config.num_heads();
        let distances = num_heads.iter().map(|heads| (0..*heads).map(distance).collect());
        Manifest {
            version: VERSION,
            producer: "test".into(),
            architecture: architecture(config),
            ancestor: Ancestor { sha256: Sha256::of(b"ancestor"), parameters: 1 },
            probe: Probe {
                images: 1,
                images_sha256: Sha256::of(b"images"),
                preprocessing: Preprocessing {
                    image_size: config.image_size(),
                    crop_pct: 1.0,
                    mean: [0.5; 3],
                    std: [0.5; 3],
                },
                convention: Convention::Renormalized,
                mean_attention_distance: distances.collect(),
                std: num_heads.iter().map(|heads| vec![None; *heads]).collect(),
            },
            clustering: Clustering {
                algorithm: ClusterAlgorithm::Dbscan {
                    eps: vec![1.0; num_heads.len()],
                    min_points: 1,
                    noise: NoisePolicy::Drop,
                },
                representative: RepresentativePolicy::Nearest,
                random_heads: None,
            },
            layers,
            ffn: self.ffn(),
            refit: None,
            dtype: self.dtype,
            keep_projection: self.keep_projection,
            classifier: self.classifier,
            parameters: Parameters::default(),
            tensors: BTreeMap::new(),
        }
    }
}

fn architecture(config: &ModelConfig) -> Architecture {
    match config {
        ModelConfig::Vit(vit) => Architecture::Vit(VitArchitecture {
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
        ModelConfig::Swin(swin) => Architecture::Swin(SwinArchitecture {
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

/// Where a learngene keeps a parameter of timm's name, heads aside.
fn learngene_name(config: &ModelConfig, timm: &str) -> String {
    for layer in 0..config.depth() {
        if let Some(rest) = timm.strip_prefix(&format!("{}.", config.block(layer))) {
            return format!("layers.{layer}.{rest}");
        }
    }
    match timm.strip_prefix("layers.1.downsample.") {
        Some(rest) => format!("downsample.1.{rest}"),
        None => timm.replace("head.fc.", "head."),
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
    pub config: &'a ModelConfig,
    pub parameters: &'a StateDict,
}

impl Heads<'_> {
    fn read(&self, layer: usize, name: &str) -> &[f32] {
        let name = format!("{}.attn.{name}", self.config.block(layer));
        &self.parameters.get(&name).expect("a parameter of the shape").values
    }

    fn layout(&self, layer: usize) -> HeadLayout {
        self.config.layer(layer).heads
    }

    /// Weight `[head_dim, embed_dim]` and bias `[head_dim]` of a head.
    pub(super) fn rows(&self, layer: usize, of: Projection, head: usize) -> (&[f32], &[f32]) {
        let rows = self.layout(layer).rows(of, Head(head));
        let embed_dim = self.config.layer(layer).embed_dim;
        let weight = &self.read(layer, "qkv.weight")[rows.start * embed_dim..rows.end * embed_dim];
        (weight, &self.read(layer, "qkv.bias")[rows])
    }

    /// Columns of the output projection, `[embed_dim, head_dim]`.
    pub(super) fn columns(&self, layer: usize, head: usize) -> Vec<f32> {
        columns_of(self.read(layer, "proj.weight"), self.layout(layer), Head(head))
    }

    /// Column of the table of relative positions, `[relative_positions]`.
    pub(super) fn relative_positions(&self, layer: usize, head: usize) -> Vec<f32> {
        let table = self.read(layer, "relative_position_bias_table").iter();
        table.skip(head).step_by(self.layout(layer).num_heads).copied().collect()
    }

    /// The learngene's tensors of these heads.
    fn centroids(&self, layer: usize, heads: &[usize]) -> Vec<(String, HostTensor)> {
        let shape = self.config.layer(layer);
        let (count, head_dim, embed_dim) = (heads.len(), shape.heads.head_dim, shape.embed_dim);
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
        if let Some(positions) = shape.relative_positions {
            let columns = heads.iter().flat_map(|head| self.relative_positions(layer, *head));
            let columns = HostTensor::new([count, positions], columns.collect());
            tensors.push(("relative_position".into(), columns));
        }
        tensors
    }
}

/// Two images that are the same in every test.
pub(super) fn images(config: &ModelConfig, device: &Device) -> Tensor<4> {
    let side = config.image_size();
    let values = random_values(&mut ChaCha8Rng::seed_from_u64(9), 2 * 3 * side * side);
    Tensor::from_data(TensorData::new(values, [2, 3, side, side]), device)
}

/// What a model says of the two images.
pub(super) fn logits(config: &ModelConfig, parameters: &StateDict) -> Vec<f32> {
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
