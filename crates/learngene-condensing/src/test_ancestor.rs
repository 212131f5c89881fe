//! Small ancestors with numbers of their own in every head, and what is measured of them.

use std::convert::Infallible;

use burn::tensor::{Device, Tensor, TensorData};
use learngene_checkpoints::{Checkpoint, Dialect, PretrainedCfg};
use learngene_clustering::{ClusterParams, FfnParams, cluster, cluster_ffns};
use learngene_format::{
    Clusters, Convention, Distances, Learngene, Preprocessing, RepresentativePolicy,
};
use learngene_shape::{Family, FfnKind, Shape, Swin, Vit};
use learngene_tensors::{Dtype, Sha256, StateDict, Tensor as HostTensor};

use crate::{CondenseOptions, ProbeSettings, RunningAncestor, condense};

pub(crate) const EMBED_DIM: usize = 24;
pub(crate) const HEAD_DIM: usize = 6;
/// Side of the images, in pixels.
const SIDE: usize = 16;

/// Three layers of four, three and four heads. Of the first layer heads 0 and 2 look equally far,
/// of the others heads 0 and 1.
pub(crate) fn vit() -> Checkpoint {
    let vit = Vit {
        image_size: SIDE,
        patch_size: 4,
        num_classes: 3,
        ..Vit::new(EMBED_DIM, vec![4, 3, 4], HEAD_DIM, vec![20; 3])
    };
    scattered(vit.shape().expect("possible"), 7)
}

/// Two stages of two layers: windows of 2 in 8 x 8 tokens, then in 4 x 4. Heads as in [`vit`].
pub(crate) fn swin() -> Checkpoint {
    let swin = Swin {
        image_size: SIDE,
        patch_size: 2,
        window_size: 2,
        num_classes: 3,
        num_heads: vec![3, 2, 2, 4],
        head_dim: vec![HEAD_DIM, HEAD_DIM],
        hidden_dim: vec![16, 16, 20, 20],
        ..Swin::uniform(12, &[2, 2], &[1, 1])
    };
    scattered(swin.shape().expect("possible"), 8)
}

pub(crate) fn ancestors() -> [Checkpoint; 2] {
    [vit(), swin()]
}

/// Two layers of three and two heads, with gated FFNs.
fn swiglu() -> Checkpoint {
    let vit = Vit {
        image_size: SIDE,
        patch_size: 4,
        ffn: FfnKind::SwiGlu,
        ..Vit::new(EMBED_DIM, vec![3, 2], HEAD_DIM, vec![20, 12])
    };
    scattered(vit.shape().expect("possible"), 9)
}

/// Those of [`ancestors`], and one with gated FFNs.
pub(crate) fn all_ancestors() -> Vec<Checkpoint> {
    ancestors().into_iter().chain([swiglu()]).collect()
}

/// Numbers without pattern from -1 to 1 that f16 holds exactly.
fn numbers(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_add(1);
    move || {
        // The generator of Knuth's MMIX, of which the upper bits are the better ones.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) % 2047) as f32 / 1024.0 - 1.0
    }
}

/// A checkpoint of scattered numbers; another seed, another checkpoint.
pub(crate) fn scattered(shape: Shape, seed: u64) -> Checkpoint {
    let mut draw = numbers(seed);
    let parameters: StateDict = shape
        .parameter_shapes()
        .into_iter()
        .map(|(name, shape)| {
            let values = (0..shape.iter().product()).map(|_| draw()).collect();
            (name, HostTensor::new(shape, values))
        })
        .collect();
    Checkpoint {
        shape,
        parameters,
        dtype: Dtype::F32,
        dialect: Dialect::Timm,
        pretrained_cfg: PretrainedCfg::default(),
        sha256: Sha256::of(&seed.to_le_bytes()),
        notes: Vec::new(),
    }
}

/// It, running.
pub(crate) fn running(ancestor: &Checkpoint) -> RunningAncestor {
    RunningAncestor::load(ancestor.clone(), &Device::flex()).expect("good parameters")
}

/// Pixels without pattern, in batches of four images.
pub(crate) fn images(count: usize) -> Vec<Result<Tensor<4>, Infallible>> {
    let mut draw = numbers(5);
    let values: Vec<f32> = (0..count * 3 * SIDE * SIDE).map(|_| draw()).collect();
    let batches = values.chunks(4 * 3 * SIDE * SIDE).map(|pixels| {
        let batch = pixels.len() / (3 * SIDE * SIDE);
        let data = TensorData::new(pixels.to_vec(), [batch, 3, SIDE, SIDE]);
        Ok(Tensor::from_data(data, &Device::flex()))
    });
    batches.collect()
}

/// Settings of a probe of a model of this shape.
pub(crate) fn settings(shape: &Shape, ancestor_sha256: Sha256) -> ProbeSettings {
    let image_size = shape.image().size;
    ProbeSettings {
        images_sha256: Sha256::of(b"images"),
        preprocessing: Preprocessing { image_size, crop_pct: 0.9, mean: [0.5; 3], std: [0.25; 3] },
        convention: Convention::Renormalized,
        ancestor_sha256,
    }
}

/// Heads 0 and 2 of the first layer lie within 10 px of each other, and so do the first two of all
/// others.
pub(crate) fn distances(ancestor: &Checkpoint) -> Distances {
    let of_layer = |(layer, heads): (usize, usize)| match layer {
        0 => [40.0, 80.0, 44.0, 10.0][..heads].to_vec(),
        _ => [20.0, 21.0, 50.0, 90.0][..heads].to_vec(),
    };
    let of_heads = ancestor.shape.num_heads().into_iter().enumerate().map(of_layer).collect();
    let layers = ancestor.shape.layers();
    Distances {
        attended_side: layers.iter().map(|layer| layer.field.attended_side()).collect(),
        depths: ancestor.shape.stages().iter().map(|stage| stage.len()).collect(),
        ancestor_sha256: ancestor.sha256,
        ..distances_of(of_heads)
    }
}

/// Distances `[layer][head]`, in pixels, of one stage, where a head can look 224 px far.
pub(crate) fn distances_of(mean_attention_distance: Vec<Vec<f64>>) -> Distances {
    let depth = mean_attention_distance.len();
    let ProbeSettings { images_sha256, preprocessing, convention, ancestor_sha256 } =
        settings(&vit().shape, Sha256::of(b"ancestor"));
    Distances {
        std: mean_attention_distance.iter().map(|heads| vec![None; heads.len()]).collect(),
        mean_attention_distance,
        images: 10,
        images_sha256,
        preprocessing,
        convention,
        skipped_rows: 0,
        attended_side: vec![224; depth],
        depths: vec![depth],
        ancestor_sha256,
        producer: "a test".into(),
    }
}

/// Every head alone at 1e-6 px, pairs together at 10 px.
pub(crate) fn dbscan(eps: f64, representative: RepresentativePolicy) -> ClusterParams {
    ClusterParams { representative, ..ClusterParams::dbscan(vec![eps]) }
}

pub(crate) fn clusters(ancestor: &Checkpoint, heads: ClusterParams, ffn: FfnParams) -> Clusters {
    let distances = distances(ancestor);
    let heads = cluster(&distances, &heads.check().expect("possible parameters"));
    let heads = heads.expect("good distances");
    let ffn = cluster_ffns(&distances, &heads, &ffn.check().expect("possible parameters"));
    Clusters::new(heads, ffn.expect("good groups"), &distances, "a test")
}

pub(crate) fn condensed(ancestor: &Checkpoint, heads: ClusterParams, ffn: FfnParams) -> Learngene {
    let options =
        CondenseOptions { keep_projection: true, classifier: true, ..CondenseOptions::default() };
    let clusters = clusters(ancestor, heads, ffn);
    condense(ancestor, &distances(ancestor), &clusters, options).expect("a good ancestor")
}

/// All layers of a stage with one FFN.
pub(crate) fn shared_ffns(ancestor: &Checkpoint) -> FfnParams {
    FfnParams::given(ancestor.shape.stages().into_iter().map(Iterator::collect).collect())
}

pub(crate) fn values<'a>(tensors: &'a StateDict, name: &str) -> &'a [f32] {
    &tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}")).values
}

/// The same learngene with other values in one tensor, and a hash that belongs to them.
pub(crate) fn edited(
    learngene: &Learngene,
    name: &str,
    edit: impl FnOnce(&mut HostTensor),
) -> Learngene {
    let (manifest, mut tensors) = learngene.clone().into_parts();
    let mut tensor = tensors.remove(name).unwrap_or_else(|| panic!("no tensor {name}"));
    edit(&mut tensor);
    tensors.insert(name, tensor);
    Learngene::new(manifest, tensors).expect("a valid learngene")
}
