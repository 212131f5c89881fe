//! Learngenes of any shape and content, for property tests.

use std::collections::BTreeMap;

use learngene_format::{
    Ancestor, Architecture, ClusterAlgorithm, Clustering, Convention, Dtype, Ffn, FfnAlgorithm,
    FfnGroup, FfnNorm, Fit, LayerClusters, Learngene, Manifest, NoisePolicy, Parameters,
    Preprocessing, Probe, ProjectionFit, Refit, RefitInputs, RepresentativePolicy, Residual,
    SwinArchitecture, Tensor, VERSION, VitArchitecture,
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

fn positive_or_zero() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), positive()]
}

fn vits() -> impl Strategy<Value = Architecture> {
    let sizes = (1usize..3, 1usize..3, 1usize..4, 1usize..5, 1usize..4, 1usize..6, 0usize..3);
    (sizes, vec(1..=MAX_HEADS, 1..4), positive()).prop_map(|(sizes, num_heads, layer_norm_eps)| {
        let (grid, patch_size, in_channels, embed_dim, head_dim, mlp_hidden_dim, num_classes) =
            sizes;
        Architecture::Vit(VitArchitecture {
            image_size: grid * patch_size,
            patch_size,
            in_channels,
            embed_dim,
            depth: num_heads.len(),
            num_heads,
            head_dim,
            mlp_hidden_dim,
            num_classes,
            layer_norm_eps,
        })
    })
}

fn swins() -> impl Strategy<Value = Architecture> {
    // Layers of each stage by their heads, width of a head, hidden width.
    let stage = (vec(1..=MAX_HEADS, 1..3), 1usize..4, 1usize..6);
    // A window and the tokens of the last stage are `side` and some doublings of it, so that the one
    // divides the other wherever it is less.
    let windows = (1usize..3, 0u32..2, 0u32..2);
    let sizes = (1usize..3, 1usize..4, 1usize..4, 0usize..3);
    (vec(stage, 1..4), windows, sizes, positive()).prop_map(
        |(stages, (side, window, last), sizes, layer_norm_eps)| {
            let (patch_size, in_channels, embed_dim, num_classes) = sizes;
            let grid = (side << last) << (stages.len() - 1);
            Architecture::Swin(SwinArchitecture {
                image_size: grid * patch_size,
                patch_size,
                window_size: side << window,
                in_channels,
                embed_dim,
                depths: stages.iter().map(|(num_heads, ..)| num_heads.len()).collect(),
                num_heads: stages.iter().flat_map(|(num_heads, ..)| num_heads.clone()).collect(),
                head_dim: stages.iter().map(|(_, head_dim, _)| *head_dim).collect(),
                mlp_hidden_dim: stages.iter().map(|(.., hidden)| *hidden).collect(),
                num_classes,
                layer_norm_eps,
            })
        },
    )
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
    let dbscan = (vec(positive(), depth), 1usize.., noise)
        .prop_map(|(eps, min_points, noise)| ClusterAlgorithm::Dbscan { eps, min_points, noise });
    let kmeans = any::<u64>()
        .prop_map(move |seed| ClusterAlgorithm::Kmeans { k: vec![MAX_HEADS; depth], seed });
    (prop_oneof![dbscan, kmeans], representatives(), any::<Option<u64>>()).prop_map(
        |(algorithm, representative, random_heads)| Clustering {
            algorithm,
            representative,
            random_heads,
        },
    )
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

fn representatives() -> impl Strategy<Value = RepresentativePolicy> {
    select(vec![RepresentativePolicy::Nearest, RepresentativePolicy::Mean])
}

/// Groups from a choice for each layer: whether it joins the one before, where the stage allows it,
/// and which layer stands for the group.
fn groups(architecture: &Architecture, choices: &[(bool, usize)]) -> Vec<FfnGroup> {
    let mut groups: Vec<FfnGroup> = Vec::new();
    for stage in architecture.stages() {
        for layer in stage.clone() {
            match groups.last_mut() {
                Some(group) if choices[layer].0 && layer > stage.start => group.layers.push(layer),
                _ => groups.push(FfnGroup { layers: vec![layer], representative: layer }),
            }
        }
    }
    for group in &mut groups {
        let layers = &group.layers;
        group.representative = layers[choices[layers[0]].1 % layers.len()];
    }
    groups
}

fn ffns(architecture: &Architecture) -> impl Strategy<Value = Ffn> + use<> {
    let architecture = architecture.clone();
    let depth = architecture.depth();
    let norm = select(vec![FfnNorm::Representative, FfnNorm::Own]);
    let choices = vec((any::<bool>(), 0usize..9), depth);
    let eps = vec(positive_or_zero(), depth);
    (choices, 0..3, eps, representatives(), norm).prop_map(
        move |(mut choices, algorithm, eps, representative, norm)| {
            let algorithm = match algorithm {
                0 => FfnAlgorithm::None,
                1 => FfnAlgorithm::Given,
                _ => FfnAlgorithm::Contiguous { eps },
            };
            if algorithm == FfnAlgorithm::None {
                choices.iter_mut().for_each(|(joins, _)| *joins = false);
            }
            Ffn { algorithm, representative, norm, groups: groups(&architecture, &choices) }
        },
    )
}

fn residuals() -> impl Strategy<Value = Residual> {
    [positive_or_zero(), positive_or_zero(), positive_or_zero()].prop_map(
        |[relative, median_channel, worst_channel]| Residual {
            relative,
            median_channel,
            worst_channel,
        },
    )
}

fn fits() -> impl Strategy<Value = Fit> {
    (residuals(), residuals()).prop_map(|(before, after)| Fit { before, after })
}

/// The fits of one layer: that of all centroids, and of any fewer.
fn projection_fits(centroids: usize) -> impl Strategy<Value = Vec<ProjectionFit>> {
    vec((any::<bool>(), fits()), centroids).prop_map(move |choices| {
        let falling = (1..=centroids).rev().zip(choices);
        let kept = falling.filter(|(heads, (is_kept, _))| *heads == centroids || *is_kept);
        kept.map(|(heads, (_, fit))| ProjectionFit { heads, fit }).collect()
    })
}

fn refits(layers: &[LayerClusters], ffn: &Ffn) -> impl Strategy<Value = Refit> + use<> {
    let inputs = select(vec![RefitInputs::Ancestor, RefitInputs::Own]);
    let attention: Vec<_> = layers.iter().map(|layer| projection_fits(layer.sizes.len())).collect();
    let ffn: Vec<_> = (ffn.groups.iter())
        .map(|group| {
            let is_shared = group.layers.len() > 1;
            fits().prop_map(move |fit| is_shared.then_some(fit))
        })
        .collect();
    (inputs, positive_or_zero(), 1u64.., any::<[u8; 32]>(), attention, ffn).prop_map(
        |(inputs, ridge, images, hash, attention, ffn)| Refit {
            inputs,
            ridge,
            images,
            images_sha256: hash.into(),
            attention,
            ffn,
        },
    )
}

/// Clusters of heads and whether their output projections were fitted.
fn condensed(
    architecture: &Architecture,
    clustering: &Clustering,
    ffn: Ffn,
) -> impl Strategy<Value = (Ffn, Vec<LayerClusters>, Option<Refit>)> + use<> {
    let drops =
        matches!(clustering.algorithm, ClusterAlgorithm::Dbscan { noise: NoisePolicy::Drop, .. });
    let layers: Vec<_> =
        architecture.num_heads().iter().map(|&heads| layers(heads, drops)).collect();
    layers.prop_flat_map(move |layers| {
        let refit = option::of(refits(&layers, &ffn));
        (Just(ffn.clone()), Just(layers), refit)
    })
}

/// The manifest of any small model, its tensors still to be made.
fn manifests() -> impl Strategy<Value = Manifest> {
    prop_oneof![vits(), swins()]
        .prop_flat_map(|architecture| {
            let parts = (
                probes(architecture.num_heads()),
                clusterings(architecture.depth()),
                ffns(&architecture),
            );
            (Just(architecture), parts)
        })
        .prop_flat_map(|(architecture, (probe, clustering, ffn))| {
            let condensed = condensed(&architecture, &clustering, ffn);
            let names = (any::<String>(), any::<[u8; 32]>(), any::<u64>());
            let dtype = select(vec![Dtype::F32, Dtype::F16, Dtype::BF16]);
            (Just((architecture, probe, clustering)), condensed, names, dtype, any::<[bool; 2]>())
        })
        .prop_map(|(parts, (ffn, layers, refit), names, dtype, flags)| {
            let (architecture, probe, clustering) = parts;
            let (producer, ancestor, parameters) = names;
            let [keep_projection, classifier] = flags;
            Manifest {
                version: VERSION,
                producer,
                classifier: classifier && architecture.num_classes() > 0,
                architecture,
                ancestor: Ancestor { sha256: ancestor.into(), parameters },
                probe,
                clustering,
                layers,
                ffn,
                refit,
                dtype,
                keep_projection,
                parameters: Parameters::default(),
                tensors: BTreeMap::new(),
            }
        })
}

/// A size that no check has seen: small, a power of two or next to one, or beyond all bounds.
fn unchecked_sizes() -> impl Strategy<Value = usize> {
    let power = (0..usize::BITS).prop_map(|doublings| 1usize << doublings);
    prop_oneof![
        2 => 0usize..5,
        1 => power.clone(),
        1 => power.prop_map(|power| power - 1),
        1 => (0usize..5).prop_map(|less| usize::MAX - less),
    ]
}

/// An architecture that no check has seen: any numbers, lists of any length.
pub fn unchecked_architectures() -> impl Strategy<Value = Architecture> {
    let lists = || vec(unchecked_sizes(), 0..4);
    let depths = prop_oneof![vec(unchecked_sizes(), 0..4), vec(unchecked_sizes(), 60..70)];
    let sizes = vec(unchecked_sizes(), 8);
    (any::<bool>(), sizes, depths, lists(), lists(), lists()).prop_map(
        |(is_swin, sizes, depths, num_heads, head_dim, mlp_hidden_dim)| {
            if is_swin {
                Architecture::Swin(SwinArchitecture {
                    image_size: sizes[0],
                    patch_size: sizes[1],
                    window_size: sizes[2],
                    in_channels: sizes[3],
                    embed_dim: sizes[4],
                    depths,
                    num_heads,
                    head_dim,
                    mlp_hidden_dim,
                    num_classes: sizes[5],
                    layer_norm_eps: 1e-6,
                })
            } else {
                Architecture::Vit(VitArchitecture {
                    image_size: sizes[0],
                    patch_size: sizes[1],
                    in_channels: sizes[2],
                    embed_dim: sizes[3],
                    depth: sizes[4],
                    num_heads,
                    head_dim: sizes[5],
                    mlp_hidden_dim: sizes[6],
                    num_classes: sizes[7],
                    layer_norm_eps: 1e-6,
                })
            }
        },
    )
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
