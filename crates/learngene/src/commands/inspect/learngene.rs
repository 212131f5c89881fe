//! A learngene in words.

use std::fmt::Write;

use learngene_format::{
    ClusterAlgorithm, FfnAlgorithm, FfnClusters, HeadOrder, LayerClusters, LayerFits, Manifest,
    RepresentativePolicy,
};
use learngene_shape::Shape;

use crate::text::{count, layer_list, thousands};

pub(super) fn describe(manifest: &Manifest) -> String {
    let mut text = String::new();
    let mut line = |what: &str, is: String| {
        let _infallible = writeln!(text, "{what:12} {is}");
    };
    let Manifest { ancestor, distances, clusters, shape, .. } = manifest;
    let heads: usize = ancestor.shape.num_heads().iter().sum();
    let kept: usize = shape.num_heads().iter().sum();
    line(
        "ancestor",
        format!(
            "{}, {} parameters",
            describe_shape(&ancestor.shape),
            thousands(ancestor.parameters)
        ),
    );
    line("", format!("sha256 {}", ancestor.sha256));
    let share = 100.0 * manifest.parameters.stored as f64 / ancestor.parameters as f64;
    line(
        "holds",
        format!(
            "{} parameters ({share:.1} %), {}",
            thousands(manifest.parameters.stored),
            manifest.store
        ),
    );
    line("heads", format!("{kept} of {heads}"));
    line("layers", format!("{} of {}", shape.depth(), ancestor.shape.depth()));
    let hidden: Vec<usize> = shape.layers().iter().map(|layer| layer.ffn.hidden_dim).collect();
    line("hidden units", layer_list(&hidden));
    line(
        "probe",
        format!(
            "{} images of {} px, {:?}",
            distances.images, distances.preprocessing.image_size, distances.convention
        )
        .to_lowercase(),
    );
    let algorithm = match &clusters.heads.algorithm {
        ClusterAlgorithm::Dbscan { eps, min_points, .. } => {
            format!("dbscan, eps {}, min_points {min_points}", describe_radii(eps))
        }
        ClusterAlgorithm::Kmeans { k, seed } => format!("k-means, k {k:?}, seed {seed}"),
        ClusterAlgorithm::Order { by: HeadOrder::Output } => {
            "none: heads by what they write".into()
        }
        ClusterAlgorithm::Order { by: HeadOrder::Density } => "none: heads by distance".into(),
    };
    let random = clusters.heads.random_heads;
    let random = random.map(|seed| format!(", heads drawn at random, seed {seed}"));
    line("clustering", algorithm + &random.unwrap_or_default());
    line("FFNs", describe_ffn(&clusters.ffn, ancestor.shape.depth()));
    if let Some(refit) = &manifest.refit {
        line("refit", format!("{} images, ridge {}", refit.images, refit.ridge));
    }
    for (kept, &layer) in manifest.layers.iter().enumerate() {
        let clusters = &clusters.heads.layers[layer];
        let means = &distances.mean_attention_distance[layer];
        line(&format!("layer {layer}"), describe_heads(means, &distances.std[layer]));
        line("", describe_clusters(clusters, means));
        if let Some(refit) = &manifest.refit {
            line("", describe_fits(&refit.layers[kept]));
        }
    }
    line("", "distance of each head ± standard deviation over the images".into());
    line(
        "",
        "below it the heads of one cluster together, [h] is kept, their range in brackets".into(),
    );
    if manifest.refit.is_some() {
        let legend = "error before and after fitting: mean square of what is missing of the \
                      ancestor's outputs, over their variance; of all channels, and of the median one";
        line("", legend.into());
    }
    text.trim_end().to_owned()
}

/// `9 FFNs for 12 layers, joined with eps 1.875 px: layers [6] 7 | 9 10 [11], the one in brackets is
/// kept`.
fn describe_ffn(ffn: &FfnClusters, depth: usize) -> String {
    let how = match &ffn.algorithm {
        FfnAlgorithm::None => {
            return "each layer keeps its own".into();
        }
        FfnAlgorithm::Given => "as given".to_owned(),
        FfnAlgorithm::Paper { eps } => {
            format!("by the paper's rule with eps {}", describe_radii(eps))
        }
        FfnAlgorithm::Contiguous { eps } => format!("with eps {}", describe_radii(eps)),
    };
    let stands = match ffn.representative {
        RepresentativePolicy::Nearest => "the one in brackets is kept",
        RepresentativePolicy::Mean => "their mean is kept",
    };
    let shared = ffn.groups.iter().filter(|group| group.layers.len() > 1);
    let shared: Vec<String> = shared
        .map(|group| {
            let is_kept = |layer| {
                ffn.representative == RepresentativePolicy::Nearest && layer == group.representative
            };
            let name = |layer: &usize| match is_kept(*layer) {
                true => format!("[{layer}]"),
                false => layer.to_string(),
            };
            group.layers.iter().map(name).collect::<Vec<_>>().join(" ")
        })
        .collect();
    let kept = ffn.groups.len();
    let joined = match shared.as_slice() {
        [] => "no layers".to_owned(),
        shared => format!("layers {}, {stands}", shared.join(" | ")),
    };
    format!("{kept} for {depth} layers, joined {how}: {joined}")
}

/// `attention: error 0.2100 to 0.0400 (median channel 0.1800 to 0.0700); FFN: ...`.
fn describe_fits(fits: &LayerFits) -> String {
    let fits = [("attention", &fits.attention), ("FFN", &fits.ffn)].map(|(half, fit)| {
        format!(
            "{half}: error {:.4} to {:.4} (median channel {:.4} to {:.4})",
            fit.before.relative,
            fit.after.relative,
            fit.before.median_channel,
            fit.after.median_channel
        )
    });
    fits.join("; ")
}

/// `vit, 12 layers, embed_dim 384, patch 14 on 224 px`, with the layers of each stage where there are
/// several, and the side of a window where a token attends to less than the image.
pub(super) fn describe_shape(shape: &Shape) -> String {
    let stages: Vec<usize> = shape.stages().iter().map(ExactSizeIterator::len).collect();
    let layers = match stages.as_slice() {
        [depth] => count(*depth, "layer", "layers"),
        stages => format!("layers {stages:?}"),
    };
    let (embed_dim, image) = (shape.embed_dim(), shape.image());
    let (patch_size, size) = (image.patch_size, image.size);
    let field = shape.layer(0).field;
    let window = match field.window < field.resolution {
        true => format!(", window {}", field.window),
        false => String::new(),
    };
    let family = shape.family();
    format!("{family}, {layers}, embed_dim {embed_dim}{window}, patch {patch_size} on {size} px")
}

/// `3.750 px`, or `1.250, 2.500 px` where layers differ.
fn describe_radii(radii: &[f64]) -> String {
    let mut radii: Vec<String> = radii.iter().map(|eps| format!("{eps:.3}")).collect();
    if radii.iter().all(|eps| *eps == radii[0]) {
        radii.truncate(1);
    }
    radii.join(", ") + " px"
}

/// `14.2 ±0.4  31.0 ±1.2 px`.
fn describe_heads(distances: &[f64], std: &[Option<f64>]) -> String {
    let heads = distances.iter().zip(std).map(|(distance, std)| match std {
        Some(std) => format!("{distance:.1} ±{std:.1}"),
        None => format!("{distance:.1}"),
    });
    heads.collect::<Vec<_>>().join("  ") + " px"
}

/// `[0] 3 (14.2..15.0 px)  |  [1] (31.0 px)`.
fn describe_clusters(layer: &LayerClusters, distances: &[f64]) -> String {
    let clusters = layer.clusters.iter().zip(&layer.representatives).map(|(cluster, kept)| {
        let (mut names, mut range) = (Vec::new(), [f64::INFINITY, f64::NEG_INFINITY]);
        for head in layer.members(*cluster) {
            names.push(if head == *kept { format!("[{head}]") } else { head.to_string() });
            range = [range[0].min(distances[head]), range[1].max(distances[head])];
        }
        let range = match range {
            [low, high] if low < high => format!("{low:.1}..{high:.1}"),
            [low, _] => format!("{low:.1}"),
        };
        format!("{} ({range} px)", names.join(" "))
    });
    clusters.collect::<Vec<_>>().join("  |  ")
}
