//! `learngene list models`

use learngene_shape::Shape;
use serde::Serialize;

use crate::{
    hub::HubModel,
    text::{table, thousands},
};

/// Lists published models whose shapes are known: parameters, multiply-accumulates, and where
/// weights are.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  learngene list models --json\n  learngene condense hf:timm/deit_tiny_patch16_224.fb_in1k --images photos/ --out deit_tiny.learngene"
)]
pub struct Args {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Weights of presets on the hub, by names of timm. Those of DeiT and Swin are the paper's ancestors.
const WEIGHTS: [(&str, &str); 13] = [
    ("deit_tiny_patch16_224", "timm/deit_tiny_patch16_224.fb_in1k"),
    ("deit_small_patch16_224", "timm/deit_small_patch16_224.fb_in1k"),
    ("deit_base_patch16_224", "timm/deit_base_patch16_224.fb_in1k"),
    ("vit_tiny_patch16_224", "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k"),
    ("vit_small_patch16_224", "timm/vit_small_patch16_224.augreg_in21k_ft_in1k"),
    ("vit_base_patch16_224", "timm/vit_base_patch16_224.augreg2_in21k_ft_in1k"),
    ("vit_large_patch16_224", "timm/vit_large_patch16_224.augreg_in21k_ft_in1k"),
    ("vit_small_patch14_224", "timm/vit_small_patch14_dinov2.lvd142m"),
    ("vit_small_patch14_dinov2", "timm/vit_small_patch14_dinov2.lvd142m"),
    ("vit_base_patch14_dinov2", "timm/vit_base_patch14_dinov2.lvd142m"),
    ("swin_tiny_patch4_window7_224", "timm/swin_tiny_patch4_window7_224.ms_in1k"),
    ("swin_small_patch4_window7_224", "timm/swin_small_patch4_window7_224.ms_in1k"),
    ("swin_base_patch4_window7_224", "timm/swin_base_patch4_window7_224.ms_in1k"),
];

/// A preset.
#[derive(Serialize)]
struct Listed {
    name: &'static str,
    family: &'static str,
    parameters: u64,
    /// Multiply-accumulates of one image.
    macs: u64,
    /// Side of the images, in pixels.
    image_size: usize,
    /// What to give as MODEL.
    weights: String,
    is_in_cache: bool,
}

impl Listed {
    fn new((name, weights): (&'static str, &'static str)) -> Self {
        let shape = Shape::preset(name).expect("a test looks up all of them");
        let weights: HubModel = weights.parse().expect("a test reads all of them");
        Self {
            name,
            family: shape.family(),
            parameters: shape.count_parameters(),
            macs: shape.count_macs(),
            image_size: shape.image().size,
            is_in_cache: weights.cached().is_some(),
            weights: weights.to_string(),
        }
    }
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let listed: Vec<Listed> = WEIGHTS.into_iter().map(Listed::new).collect();
    super::super::print(args.json, &listed, |listed| {
        let head = ["name", "px", "parameters", "MACs", "in cache", "MODEL"];
        let rows = listed.iter().map(row);
        let rows: Vec<_> = [head.map(str::to_owned)].into_iter().chain(rows).collect();
        let same = "vit_small_patch14_224 is the checkpoint of vit_small_patch14_dinov2, read for smaller \
                    images: it needs --image-size 224.";
        let others = "Any other plain ViT, DeiT or Swin of the hub or in a file is read too.";
        format!("{}\n\n{same}\n{others}", table(&rows, 1..4))
    })
}

fn row(listed: &Listed) -> [String; 6] {
    [
        listed.name.into(),
        listed.image_size.to_string(),
        thousands(listed.parameters),
        thousands(listed.macs),
        if listed.is_in_cache { "yes" } else { "no" }.into(),
        listed.weights.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_listed_with_weights() {
        let listed: Vec<&str> =
            WEIGHTS.into_iter().map(|weights| Listed::new(weights).name).collect();
        assert!(Shape::presets().map(|(name, _)| name).eq(listed));
    }
}
