//! Small ancestors, their learngenes by hand, and ways to look at them.

use std::collections::BTreeMap;

use learngene_format::{
    Ancestor, ClusterAlgorithm, Clusters, Convention, Distances, FfnAlgorithm, FfnClusters,
    FfnGroup, FfnNorm, Fit, HeadClusters, LayerClusters, LayerFits, Learngene, Manifest,
    NoisePolicy, Parameters, Preprocessing, Refit, RepresentativePolicy, Residual, VERSION,
    origin_name,
};
use learngene_shape::{Family, Parameter, Shape, Swin, Vit, select_heads};
use learngene_tensors::{Dtype, Sha256, StateDict, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{ClassifierPolicy, Descendant, DescendantConfig, expand};

/// Three layers of 3, 4 and 2 heads, so that no head count fits two layers by chance.
pub(super) fn tiny_vit() -> Vit {
    let vit = Vit::new(24, vec![3, 4, 2], 8, vec![40; 3]);
    Vit { image_size: 16, patch_size: 4, num_classes: 5, ..vit }
}

pub(super) fn tiny() -> Shape {
    tiny_vit().shape().expect("possible")
}

/// The same heads in two stages, of which the second is one window.
pub(super) fn tiny_swin() -> Shape {
    let swin = Swin {
        image_size: 16,
        window_size: 2,
        num_heads: vec![3, 4, 2],
        head_dim: vec![8, 8],
        hidden_dim: vec![20, 20, 40],
        num_classes: 5,
        ..Swin::uniform(12, &[2, 1], &[3, 2])
    };
    swin.shape().expect("possible")
}

/// Parameters of which none is zero, biases among them: what is left out shows in the logits.
pub(super) fn random_parameters(shape: &Shape) -> StateDict {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    // Uniform in [-0.5, 0.5), zero left out.
    let mut value = || ((rng.next_u32() | 1) as f64 / 2f64.powi(32) - 0.5) as f32;
    let shapes = shape.parameter_shapes().into_iter();
    let random = |(name, shape): (String, Vec<usize>)| {
        let count = shape.iter().product();
        (name, Tensor::new(shape, (0..count).map(|_| value()).collect()))
    };
    shapes.map(random).collect()
}

/// How a learngene is condensed by hand.
pub(super) struct Condensing {
    /// Cluster of each head, by layer; `None` for dropped heads.
    pub labels: Vec<Vec<Option<usize>>>,
    /// Layers that share the first one's FFN.
    pub ffn_groups: Vec<Vec<usize>>,
    pub keep_projection: bool,
    pub classifier: bool,
    pub dtype: Dtype,
    /// Whether matrices are called fitted, with what they are for fewer inputs.
    pub refit: bool,
}

impl Condensing {
    /// Every head its own cluster, every layer its own FFN, all else kept.
    pub fn nothing_joined(shape: &Shape) -> Self {
        let own = |heads: usize| (0..heads).map(Some).collect();
        Self {
            labels: shape.num_heads().into_iter().map(own).collect(),
            ffn_groups: (0..shape.depth()).map(|layer| vec![layer]).collect(),
            keep_projection: true,
            classifier: true,
            dtype: Dtype::F32,
            refit: false,
        }
    }

    /// Of the tiny ancestors. Layer 0: {1, 2} before {0}. Layer 1: {0, 3}, {1}, {2}. Layer 2: {1},
    /// head 0 dropped. Layers 0 and 1 share an FFN.
    pub fn joined() -> Self {
        Self {
            labels: vec![
                vec![Some(0), Some(1), Some(1)],
                vec![Some(0), Some(1), Some(2), Some(0)],
                vec![None, Some(0)],
            ],
            ffn_groups: vec![vec![0, 1], vec![2]],
            ..Self::nothing_joined(&tiny())
        }
    }

    pub fn condense(self, shape: &Shape, parameters: &StateDict) -> Learngene {
        let manifest = self.manifest(shape);
        let mut tensors = StateDict::default();
        for parameter in shape.parameters() {
            let tensor = parameters.get(&parameter.name).expect("a parameter of the shape");
            if manifest.keep_projection && parameter.is_output_projection() {
                tensors.insert(origin_name(&parameter), tensor.clone());
            }
            let clusters = parameter.place.layer().map(|l| &manifest.clusters.heads.layers[l]);
            let heads = clusters.map_or(&[][..], |clusters| &clusters.representatives);
            if manifest.stores(&parameter) {
                let selected = select_heads(&parameter, tensor, heads);
                tensors.insert(parameter.name, selected);
            }
        }
        for (name, shape) in manifest.expected_tensors().expect("a consistent manifest") {
            if tensors.get(&name).is_none() {
                tensors.insert(name.clone(), nested_tensor(&name, shape));
            }
        }
        Learngene::new(manifest, tensors).expect("a whole learngene")
    }

    fn manifest(&self, shape: &Shape) -> Manifest {
        let num_heads = shape.num_heads();
        let distance = |head: usize| ((head * 7 + 3) % 5) as f64 * 4.0;
        let distances = Distances {
            mean_attention_distance: num_heads
                .iter()
                .map(|heads| (0..*heads).map(distance).collect())
                .collect(),
            std: num_heads.iter().map(|heads| vec![None; *heads]).collect(),
            images: 1,
            images_sha256: Sha256::of(b"images"),
            preprocessing: Preprocessing {
                image_size: shape.image().size,
                crop_pct: 1.0,
                mean: [0.5; 3],
                std: [0.5; 3],
            },
            convention: Convention::Renormalized,
            skipped_rows: 0,
            attended_side: shape.layers().iter().map(|l| l.field.attended_side()).collect(),
            depths: shape.stages().iter().map(|stage| stage.len()).collect(),
            ancestor_sha256: Sha256::of(b"ancestor"),
            producer: "test".into(),
        };
        let last = |members: &[usize]| members[members.len() - 1];
        let heads = HeadClusters {
            algorithm: ClusterAlgorithm::Dbscan {
                eps: vec![1.0; num_heads.len()],
                min_points: 1,
                noise: NoisePolicy::Drop,
            },
            representative: RepresentativePolicy::Nearest,
            random_heads: None,
            layers: self.labels.iter().map(|labels| LayerClusters::new(labels, last)).collect(),
        };
        let is_joined = self.ffn_groups.iter().any(|layers| layers.len() > 1);
        let group =
            |layers: &Vec<usize>| FfnGroup { representative: layers[0], layers: layers.clone() };
        let ffn = FfnClusters {
            algorithm: if is_joined { FfnAlgorithm::Given } else { FfnAlgorithm::None },
            representative: RepresentativePolicy::Nearest,
            norm: FfnNorm::Own,
            groups: self.ffn_groups.iter().map(group).collect(),
        };
        let refit = self.refit.then(|| refit(shape.depth()));
        let kept = shape.with_num_heads(&heads.num_centroids()).expect("heads in each layer");
        Manifest {
            version: VERSION,
            producer: "test".into(),
            ancestor: Ancestor {
                sha256: Sha256::of(b"ancestor"),
                parameters: shape.count_parameters(),
                shape: shape.clone(),
            },
            clusters: Clusters::new(heads, ffn, &distances, "test"),
            distances,
            shape: kept,
            layers: (0..shape.depth()).collect(),
            refit,
            curves: None,
            store: self.dtype.into(),
            keep_projection: self.keep_projection,
            classifier: self.classifier,
            parameters: Parameters::default(),
            tensors: BTreeMap::new(),
        }
    }
}

fn refit(depth: usize) -> Refit {
    let zero = || Residual { relative: 0.0, median_channel: 0.0, worst_channel: 0.0 };
    let fit = || Fit { before: zero(), after: zero() };
    Refit {
        ridge: 0.0,
        images: 1,
        images_sha256: Sha256::of(b"images"),
        any_size: true,
        layers: (0..depth).map(|_| LayerFits { attention: fit(), ffn: fit() }).collect(),
    }
}

/// A factor with a diagonal of 1 and smaller numbers below it, or means.
fn nested_tensor(name: &str, shape: Vec<usize>) -> Tensor {
    let count = shape[0];
    let ends: Vec<usize> = (0..count)
        .scan(0, |at, row| {
            *at += row + 1;
            Some(*at - 1)
        })
        .collect();
    let value = |at: usize| match name.ends_with(".factor") && ends.contains(&at) {
        true => 1.0,
        false => ((at * 37) % 211) as f32 / 1024.0 - 0.1,
    };
    Tensor::new(shape, (0..count).map(value).collect())
}

/// The random ancestor of a shape and its learngene with nothing joined.
pub(super) fn whole(shape: &Shape) -> (StateDict, Learngene) {
    let parameters = random_parameters(shape);
    let learngene = Condensing::nothing_joined(shape).condense(shape, &parameters);
    (parameters, learngene)
}

/// All of the ancestor.
pub(super) fn inherit_all() -> DescendantConfig {
    DescendantConfig { classifier: ClassifierPolicy::Inherit, ..Default::default() }
}

/// A configuration as the command line has it.
pub(super) fn config(json: &str) -> DescendantConfig {
    serde_json::from_str(json).expect(json)
}

pub(super) fn expanded(learngene: &Learngene, config: &DescendantConfig) -> Descendant {
    let descendant = expand(learngene, config).expect("a possible descendant");
    check_whole(&descendant);
    descendant
}

/// A descendant has every parameter of its shape, all finite, and a plan of its shape.
pub(super) fn check_whole(descendant: &Descendant) {
    let Descendant { shape, parameters, .. } = descendant;
    parameters.check_against(&shape.parameter_shapes()).expect("every parameter");
    assert!(parameters.iter().all(|(_, tensor)| tensor.values.iter().all(|x| x.is_finite())));
    descendant.plan().check(shape).expect("its own plan");
}

/// A layer's parameters and their tensors.
pub(super) fn of_layer<'a>(
    shape: &Shape,
    parameters: &'a StateDict,
    layer: usize,
) -> Vec<(Parameter, &'a Tensor)> {
    let tensor = |p: &Parameter| parameters.get(&p.name).expect("a parameter of the shape");
    shape.layer_parameters(layer).into_iter().map(|p| (p.clone(), tensor(&p))).collect()
}

/// What a head owns in a layer: what writes into it, and the columns that read it.
pub(super) fn head(
    shape: &Shape,
    parameters: &StateDict,
    layer: usize,
    head: usize,
) -> (Vec<Tensor>, Tensor) {
    let of_layer = of_layer(shape, parameters, layer).into_iter();
    let of_heads = of_layer.filter(|(parameter, _)| parameter.head_axis().is_some());
    let (columns, rows): (Vec<_>, Vec<_>) = of_heads
        .map(|(parameter, tensor)| {
            (parameter.is_output_projection(), select_heads(&parameter, tensor, &[head]))
        })
        .partition(|(is_columns, _)| *is_columns);
    let rows = rows.into_iter().map(|(_, tensor)| tensor).collect();
    (rows, columns.into_iter().next().expect("an output projection").1)
}

/// Every head of a descendant is, row by row and column by column, what its slot says.
pub(super) fn check_heads(descendant: &Descendant, ancestor: &Shape, parameters: &StateDict) {
    for (layer, slots) in descendant.slots.iter().enumerate() {
        assert_eq!(slots.len(), descendant.shape.num_heads()[layer]);
        for (slot, source) in slots.iter().enumerate() {
            let (rows, columns) = head(&descendant.shape, &descendant.parameters, layer, slot);
            let (expected, _) = head(ancestor, parameters, source.layer, source.head);
            assert_eq!(rows, expected, "layer {layer}, slot {slot}");
            let (_, mut expected) =
                head(ancestor, parameters, source.layer, source.projection_head);
            expected.values.iter_mut().for_each(|value| *value *= source.projection_scale);
            assert_eq!(columns, expected, "layer {layer}, slot {slot}");
        }
    }
}

/// The ancestor's heads in a layer of the descendant.
pub(super) fn heads_of(descendant: &Descendant, layer: usize) -> Vec<usize> {
    descendant.slots[layer].iter().map(|slot| slot.head).collect()
}
