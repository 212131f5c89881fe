//! Learngenes of any shape and content, for property tests.

use std::collections::BTreeMap;

use learngene_format::{
    Ancestor, Architecture, ClusterAlgorithm, Clustering, Convention, Dtype, LayerClusters,
    Learngene, Manifest, NoisePolicy, Parameters, Preprocessing, Probe, RepresentativePolicy,
    Tensor, VERSION, VitArchitecture,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

const MAX_HEADS: usize = 5;

/// Clears one exponent bit of every value, so that none is infinite or not a number.
fn make_finite(dtype: Dtype, bytes: &mut [u8]) {
    for value in bytes.chunks_exact_mut(dtype.size()) {
        // The highest exponent bit is the same bit of the last byte in all three dtypes.
        value[dtype.size() - 1] &= !0x40;
    }
}

/// Labels from raw choices, renumbered by first appearance; `None` stays.
fn renumber(raw: &[Option<usize>]) -> Vec<Option<usize>> {
    let mut seen = Vec::new();
    raw.iter()
        .map(|choice| {
            choice.map(|choice| {
                seen.iter().position(|&other| other == choice).unwrap_or_else(|| {
                    seen.push(choice);
                    seen.len() - 1
                })
            })
        })
        .collect()
}

/// Clusters that follow from labels, each stood for by its last member.
fn layer_from(labels: Vec<Option<usize>>) -> LayerClusters {
    let count = labels.iter().flatten().max().map_or(0, |&label| label + 1);
    let mut members = vec![Vec::new(); count];
    for (head, label) in labels.iter().enumerate() {
        if let Some(label) = *label {
            members[label].push(head);
        }
    }
    let mut clusters: Vec<usize> = (0..count).collect();
    clusters.sort_by_key(|&label| std::cmp::Reverse(members[label].len()));
    LayerClusters {
        labels,
        sizes: clusters.iter().map(|&label| members[label].len()).collect(),
        representatives: clusters
            .iter()
            .map(|&label| *members[label].last().expect("no cluster is empty"))
            .collect(),
        clusters,
    }
}

/// Any finite, positive number, down to the subnormal ones.
fn positive() -> impl Strategy<Value = f64> {
    (1u64..f64::INFINITY.to_bits()).prop_map(f64::from_bits)
}

fn architectures(num_heads: Vec<usize>) -> impl Strategy<Value = VitArchitecture> {
    let sizes = (1usize..3, 1usize..3, 1usize..4, 1usize..5, 1usize..4, 1usize..6, 0usize..3);
    (sizes, positive()).prop_map(move |(sizes, layer_norm_eps)| {
        let (grid, patch_size, in_channels, embed_dim, head_dim, mlp_hidden_dim, num_classes) =
            sizes;
        VitArchitecture {
            image_size: grid * patch_size,
            patch_size,
            in_channels,
            embed_dim,
            depth: num_heads.len(),
            num_heads: num_heads.clone(),
            head_dim,
            mlp_hidden_dim,
            num_classes,
            layer_norm_eps,
        }
    })
}

fn probes(num_heads: &[usize]) -> impl Strategy<Value = Probe> + use<> {
    let per_head = num_heads.iter().map(|&heads| vec((positive(), option::of(positive())), heads));
    let channel = || -4.0f32..4.0;
    let preprocessing =
        (1usize..999, 0.01f32..=1.0, [channel(), channel(), channel()], 0.01f32..4.0).prop_map(
            |(image_size, crop_pct, mean, std)| Preprocessing {
                image_size,
                crop_pct,
                mean,
                std: [std, std * 1.1, std / 3.0],
            },
        );
    let convention = select(vec![Convention::Renormalized, Convention::Published]);
    (1u64.., any::<[u8; 32]>(), preprocessing, convention, per_head.collect::<Vec<_>>()).prop_map(
        |(images, hash, preprocessing, convention, layers)| {
            let (mean_attention_distance, std) =
                layers.into_iter().map(|layer| layer.into_iter().unzip()).unzip();
            Probe {
                images,
                images_sha256: hash.into(),
                preprocessing,
                convention,
                mean_attention_distance,
                std,
            }
        },
    )
}

fn clusterings(depth: usize) -> impl Strategy<Value = Clustering> {
    let noise = select(vec![NoisePolicy::Singleton, NoisePolicy::Nearest, NoisePolicy::Drop]);
    let dbscan = (positive(), 1usize.., noise)
        .prop_map(|(eps, min_points, noise)| ClusterAlgorithm::Dbscan { eps, min_points, noise });
    let kmeans = any::<u64>()
        .prop_map(move |seed| ClusterAlgorithm::Kmeans { k: vec![MAX_HEADS; depth], seed });
    let representative = select(vec![RepresentativePolicy::Nearest, RepresentativePolicy::Mean]);
    (prop_oneof![dbscan, kmeans], representative)
        .prop_map(|(algorithm, representative)| Clustering { algorithm, representative })
}

/// Clusters of one layer; heads are left out only where `drops`, and never all of them.
fn layers(heads: usize, drops: bool) -> impl Strategy<Value = LayerClusters> {
    vec((0..heads, any::<bool>()), heads).prop_map(move |choices| {
        let choices = choices.iter().enumerate().map(|(head, &(choice, out))| {
            let is_out = drops && out && head > 0;
            (!is_out).then_some(choice)
        });
        layer_from(renumber(&choices.collect::<Vec<_>>()))
    })
}

/// The manifest of any small model, its tensors still to be made.
fn manifests() -> impl Strategy<Value = Manifest> {
    (vec(1..=MAX_HEADS, 1..4), any::<[bool; 3]>())
        .prop_flat_map(|(num_heads, flags)| {
            let depth = num_heads.len();
            let parts = (architectures(num_heads.clone()), probes(&num_heads), clusterings(depth));
            (Just(num_heads), Just(flags), parts)
        })
        .prop_flat_map(|(num_heads, flags, parts)| {
            let drops = matches!(
                parts.2.algorithm,
                ClusterAlgorithm::Dbscan { noise: NoisePolicy::Drop, .. }
            );
            let layers: Vec<_> = num_heads.iter().map(|&heads| layers(heads, drops)).collect();
            let names = (any::<String>(), any::<[u8; 32]>(), any::<u64>());
            let dtype = select(vec![Dtype::F32, Dtype::F16, Dtype::BF16]);
            (Just(flags), Just(parts), layers, names, dtype)
        })
        .prop_map(|(flags, (vit, probe, clustering), layers, names, dtype)| {
            let (producer, ancestor, parameters) = names;
            let [keep_projection, classifier, joined] = flags;
            let depth = layers.len();
            Manifest {
                version: VERSION,
                producer,
                classifier: classifier && vit.num_classes > 0,
                architecture: Architecture::Vit(vit),
                ancestor: Ancestor { sha256: ancestor.into(), parameters },
                probe,
                clustering,
                layers,
                ffn_groups: if joined {
                    vec![(0..depth).collect()]
                } else {
                    (0..depth).map(|layer| vec![layer]).collect()
                },
                dtype,
                keep_projection,
                parameters: Parameters::default(),
                tensors: BTreeMap::new(),
            }
        })
}

/// Any small learngene; its values are any finite bits, repeated.
pub fn learngenes() -> impl Strategy<Value = Learngene> {
    (manifests(), vec(any::<u8>(), 257)).prop_map(|(manifest, bits)| {
        let mut bits = bits.into_iter().cycle();
        let shapes = manifest.expected_tensors().expect("such manifests are consistent");
        let tensors = shapes.into_iter().map(|(name, shape)| {
            let length = shape.iter().product::<usize>() * manifest.dtype.size();
            let mut bytes: Vec<u8> = bits.by_ref().take(length).collect();
            make_finite(manifest.dtype, &mut bytes);
            (name, Tensor::new(manifest.dtype, shape, bytes).expect("bytes fit the shape"))
        });
        let tensors = tensors.collect();
        Learngene::new(manifest, tensors).expect("such learngenes are whole")
    })
}
