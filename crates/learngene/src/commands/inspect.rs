//! `learngene inspect`

use std::{fmt::Write, path::PathBuf};

use learngene_format::{Architecture, ClusterAlgorithm, LayerClusters, Learngene, Manifest};

use crate::text::thousands;

/// Shows what a learngene holds and how it was made.
///
/// Reads the manifest alone; `learngene verify` checks the tensors.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  learngene inspect deit_base.learngene")]
pub struct Args {
    /// The learngene.
    learngene: PathBuf,
    /// Prints the manifest as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let manifest = Learngene::read_manifest(&args.learngene)?;
    super::print(args.json, &manifest, describe)
}

fn describe(manifest: &Manifest) -> String {
    let mut text = String::new();
    let mut line = |what: &str, is: String| {
        let _infallible = writeln!(text, "{what:12} {is}");
    };
    let heads: usize = manifest.architecture.num_heads().iter().sum();
    let kept: usize = manifest.layers.iter().map(|layer| layer.sizes.len()).sum();
    line(
        "ancestor",
        format!(
            "{}, {} parameters",
            describe_architecture(&manifest.architecture),
            thousands(manifest.ancestor.parameters)
        ),
    );
    line("", format!("sha256 {}", manifest.ancestor.sha256));
    let share = 100.0 * manifest.parameters.stored as f64 / manifest.ancestor.parameters as f64;
    line(
        "holds",
        format!(
            "{} parameters ({share:.1} %), {}",
            thousands(manifest.parameters.stored),
            manifest.dtype
        ),
    );
    line("heads", format!("{kept} of {heads}"));
    line(
        "probe",
        format!(
            "{} images of {} px, {:?}",
            manifest.probe.images,
            manifest.probe.preprocessing.image_size,
            manifest.probe.convention
        )
        .to_lowercase(),
    );
    let algorithm = match &manifest.clustering.algorithm {
        ClusterAlgorithm::Dbscan { eps, min_points, .. } => {
            format!("dbscan, eps {}, min_points {min_points}", describe_radii(eps))
        }
        ClusterAlgorithm::Kmeans { k, seed } => format!("k-means, k {k:?}, seed {seed}"),
    };
    line("clustering", algorithm);
    for (layer, clusters) in manifest.layers.iter().enumerate() {
        let distances = &manifest.probe.mean_attention_distance[layer];
        line(&format!("layer {layer}"), describe_heads(distances, &manifest.probe.std[layer]));
        line("", describe_clusters(clusters, distances));
    }
    line("", "distance of each head ± standard deviation over the images".into());
    line(
        "",
        "below it the heads of one cluster together, [h] is kept, their range in brackets".into(),
    );
    text.trim_end().to_owned()
}

/// `ViT, 12 layers, embed_dim 384, patch 14 on 224 px`.
fn describe_architecture(architecture: &Architecture) -> String {
    match architecture {
        Architecture::Vit(vit) => format!(
            "ViT, {} layers, embed_dim {}, patch {} on {} px",
            vit.depth, vit.embed_dim, vit.patch_size, vit.image_size
        ),
        Architecture::Swin(swin) => format!(
            "Swin, layers {:?}, embed_dim {}, window {}, patch {} on {} px",
            swin.depths, swin.embed_dim, swin.window_size, swin.patch_size, swin.image_size
        ),
    }
}

/// `3.750 px`, or `1.250, 2.500 px` where layers differ.
fn describe_radii(radii: &[f64]) -> String {
    let mut radii: Vec<String> = radii.iter().map(|eps| format!("{eps:.3}")).collect();
    radii.dedup();
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
        let members = (0..distances.len()).filter(|head| layer.labels[*head] == Some(*cluster));
        let (mut names, mut range) = (Vec::new(), [f64::INFINITY, f64::NEG_INFINITY]);
        for head in members {
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
