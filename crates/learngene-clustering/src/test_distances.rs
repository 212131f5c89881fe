//! Distances made up for tests.

use learngene_format::{Convention, Distances, Preprocessing};
use learngene_tensors::Sha256;

/// Distances `[layer][head]`, in pixels, of one stage and images of 224 px.
pub(crate) fn distances_of(mean_attention_distance: Vec<Vec<f64>>) -> Distances {
    let depth = mean_attention_distance.len();
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    Distances {
        std: mean_attention_distance.iter().map(|heads| vec![None; heads.len()]).collect(),
        mean_attention_distance,
        images: 1,
        images_sha256: Sha256::of(b"images"),
        preprocessing: Preprocessing { image_size: 224, crop_pct: 0.875, mean, std },
        convention: Convention::Renormalized,
        skipped_rows: 0,
        attended_side: vec![224; depth],
        depths: vec![depth],
        ancestor_sha256: Sha256::of(b"ancestor"),
        producer: "a test".into(),
    }
}
