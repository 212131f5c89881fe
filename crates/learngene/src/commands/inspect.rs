//! `learngene inspect`

use std::{fmt::Write, path::PathBuf};

use learngene_format::{Architecture, ClusterAlgorithm, Learngene, Manifest};

/// Shows what a learngene holds and how it was made.
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
    let Architecture::Vit(vit) = &manifest.architecture;
    let mut text = String::new();
    let mut line = |what: &str, is: String| {
        let _infallible = writeln!(text, "{what:12} {is}");
    };
    let heads: usize = vit.num_heads.iter().sum();
    let kept: usize = manifest.layers.iter().map(|layer| layer.sizes.len()).sum();
    line(
        "ancestor",
        format!(
            "ViT, {} layers, embed_dim {}, patch {} on {} px, {} parameters",
            vit.depth, vit.embed_dim, vit.patch_size, vit.image_size, manifest.ancestor.parameters
        ),
    );
    line("", format!("sha256 {}", manifest.ancestor.sha256));
    let share = 100.0 * manifest.parameters.stored as f64 / manifest.ancestor.parameters as f64;
    line(
        "holds",
        format!("{} parameters ({share:.1} %), {}", manifest.parameters.stored, manifest.dtype),
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
            format!("dbscan, eps {eps:.3} px, min_points {min_points}")
        }
        ClusterAlgorithm::Kmeans { k, seed } => format!("k-means, k {k:?}, seed {seed}"),
    };
    line("clustering", algorithm);
    for (layer, clusters) in manifest.layers.iter().enumerate() {
        let distances = &manifest.probe.mean_attention_distance[layer];
        let described: Vec<String> = clusters
            .clusters
            .iter()
            .zip(&clusters.representatives)
            .map(|(cluster, representative)| {
                let members: Vec<String> = (0..clusters.labels.len())
                    .filter(|head| clusters.labels[*head] == Some(*cluster))
                    .map(|head| {
                        if head == *representative { format!("[{head}]") } else { head.to_string() }
                    })
                    .collect();
                format!("{} ({:.1} px)", members.join(" "), distances[*representative])
            })
            .collect();
        line(&format!("layer {layer}"), described.join("  |  "));
    }
    line("", "heads of one cluster stand together, [h] is kept, its distance in brackets".into());
    text.trim_end().to_owned()
}
