use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cluster::default_eps;
use crate::error::ClusteringError;
use crate::json::{self, JsonFile};

/// What becomes of attention rows once the class token's column is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Convention {
    /// Each row is divided by its remaining sum.
    #[default]
    Renormalized,
    /// Rows stay as they are, so distances are low by the mass of the class token.
    Published,
}

/// How images became the tensors that the ancestor saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Side of the square input, in pixels.
    pub image_size: usize,
    /// Part of the resized image that the central crop keeps, 0 to 1.
    pub crop_pct: f32,
    /// Mean of each channel (red, green, blue), for pixels from 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, for pixels from 0 to 1.
    pub std: [f32; 3],
}

/// Densities of an ancestor's heads: the file `distances.json`.
///
/// Only `mean_attention_distance` is required, so that figures from elsewhere can be clustered;
/// the probe writes every field. Unknown fields are refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanAttentionDistances {
    /// `[layer][head]`: mean over images and queries, in pixels of the input. Layers may differ
    /// in their number of heads.
    pub mean_attention_distance: Vec<Vec<f64>>,
    /// `[layer][head]`: standard deviation (n - 1) over images, in pixels; absent for one image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<Vec<Option<f64>>>>,
    /// Number of images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
    /// What became of attention rows without the class token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convention: Option<Convention>,
    /// Side of a patch, in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_size: Option<usize>,
    /// `[layer]`: side of the square that one query attends to, in pixels of the input: the image's
    /// for ViT, the window's for Swin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attended_side: Option<Vec<usize>>,
    /// Layers of each stage; a ViT is one stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depths: Option<Vec<usize>>,
    /// How the images were prepared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preprocess: Option<Preprocess>,
    /// Attention rows left out, because almost all their mass lay on the class token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped_rows: Option<u64>,
    /// `[layer]`: how much the layer changes what it is given, in `[0, 1]`, where that was measured
    /// ([`representation_change`](crate::representation_change)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub representation_change: Option<Vec<f64>>,
    /// SHA-256 of the list of images, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images_sha256: Option<String>,
    /// SHA-256 of the ancestor's checkpoint, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ancestor_sha256: Option<String>,
    /// Program or crate that measured, and its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub producer: Option<String>,
}

impl MeanAttentionDistances {
    /// Distances `[layer][head]`, in pixels, of which nothing else is known.
    pub fn new(mean_attention_distance: Vec<Vec<f64>>) -> Self {
        Self { mean_attention_distance, ..Self::default() }
    }

    /// Heads of each layer.
    pub fn num_heads(&self) -> Vec<usize> {
        self.mean_attention_distance.iter().map(Vec::len).collect()
    }

    /// The method's radius of each layer, in pixels, by [`default_eps`] of its attended side: a
    /// single entry where all layers have one, none where the distances do not say the sides.
    pub fn default_eps(&self) -> Option<Vec<f64>> {
        let mut eps: Vec<f64> =
            self.attended_side.as_ref()?.iter().map(|side| default_eps(*side)).collect();
        if eps.iter().all(|other| *other == eps[0]) {
            eps.truncate(1);
        }
        Some(eps)
    }

    /// The layers of each stage, none where the distances do not say them.
    pub fn stages(&self) -> Option<Vec<Range<usize>>> {
        let mut start = 0;
        let ranges = self.depths.as_ref()?.iter().map(|depth| {
            start += depth;
            start - depth..start
        });
        Some(ranges.collect())
    }

    /// Refuses an empty layer, a distance that is negative or not finite, a `std` of another shape,
    /// attended sides or changes of representation that are none or not one for each layer, and
    /// stages that are empty or not all of the layers.
    pub fn check(&self) -> Result<(), ClusteringError> {
        if self.mean_attention_distance.is_empty() {
            return Err(ClusteringError::NoLayers);
        }
        if let Some(layer) = self.mean_attention_distance.iter().position(Vec::is_empty) {
            return Err(ClusteringError::NoHeads { layer });
        }
        check_finite("the mean attention distance", &self.mean_attention_distance)?;
        if let Some(sides) = &self.attended_side {
            let (got, want) = (sides.len(), self.mean_attention_distance.len());
            if got != want || sides.contains(&0) {
                return Err(ClusteringError::AttendedSide { got: sides.clone(), want });
            }
        }

        if let Some(depths) = &self.depths {
            let want = self.mean_attention_distance.len();
            let sum = depths.iter().try_fold(0_usize, |sum, depth| sum.checked_add(*depth));
            if sum != Some(want) || depths.contains(&0) {
                return Err(ClusteringError::Depths { got: depths.clone(), want });
            }
        }

        if let Some(change) = &self.representation_change {
            let want = self.mean_attention_distance.len();
            if change.len() != want || !change.iter().all(|change| (0.0..=1.0).contains(change)) {
                return Err(ClusteringError::Change { got: change.clone(), want });
            }
        }

        let Some(std) = &self.std else { return Ok(()) };
        let got: Vec<usize> = std.iter().map(Vec::len).collect();
        let want = self.num_heads();
        if got != want {
            return Err(ClusteringError::SpreadShape { got, want });
        }
        // An absent standard deviation says nothing that could be wrong.
        let known: Vec<Vec<f64>> =
            std.iter().map(|heads| heads.iter().map(|std| std.unwrap_or(0.0)).collect()).collect();
        check_finite("the standard deviation", &known)
    }

    /// Reads a `distances.json` and checks it.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ClusteringError> {
        json::read(path.as_ref())
    }

    /// Writes a `distances.json`, whole or not at all.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ClusteringError> {
        json::write(self, path.as_ref())
    }
}

impl JsonFile for MeanAttentionDistances {
    const WHAT: &'static str = "distances";

    fn check(&self) -> Result<(), ClusteringError> {
        self.check()
    }
}

fn check_finite(quantity: &'static str, layers: &[Vec<f64>]) -> Result<(), ClusteringError> {
    for (layer, heads) in layers.iter().enumerate() {
        for (head, &got) in heads.iter().enumerate() {
            if !got.is_finite() || got < 0.0 {
                return Err(ClusteringError::NotADistance { quantity, layer, head, got });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> MeanAttentionDistances {
        MeanAttentionDistances {
            mean_attention_distance: vec![vec![0.1 + 0.2, 62.5], vec![40.0]],
            std: Some(vec![vec![Some(1.25), None], vec![Some(0.0)]]),
            images: Some(64),
            convention: Some(Convention::Published),
            patch_size: Some(16),
            attended_side: Some(vec![224, 112]),
            depths: Some(vec![1, 1]),
            preprocess: Some(Preprocess {
                image_size: 224,
                crop_pct: 0.875,
                mean: [0.485, 0.456, 0.406],
                std: [0.229, 0.224, 0.225],
            }),
            skipped_rows: Some(0),
            representation_change: Some(vec![0.25, 1.0]),
            images_sha256: Some("ab".repeat(32)),
            ancestor_sha256: Some("cd".repeat(32)),
            producer: Some("a test".to_owned()),
        }
    }

    fn refusal(text: &str) -> String {
        let error = json::from_json::<MeanAttentionDistances>(text.as_bytes())
            .expect_err("the text is refused");
        match error {
            ClusteringError::Json { source, .. } => source.to_string(),
            other => other.to_string(),
        }
    }

    #[test]
    fn written_and_read_again_is_equal_to_the_last_bit() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("distances.json");
        full().write(&path).expect("the folder is writable");
        assert_eq!(MeanAttentionDistances::read(&path).expect("just written"), full());
    }

    #[test]
    fn scripts_find_their_fields() {
        let text = json::to_json(&full()).expect("valid distances");
        let value: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
        assert_eq!(value["mean_attention_distance"][0][1], 62.5);
        assert!(value["std"][0][1].is_null());
        assert_eq!(value["images"], 64);
        assert_eq!(value["convention"], "published");
        assert_eq!(value["preprocess"]["mean"][0], 0.485_f32);
        assert!(text.contains("0.485,"), "f32 is written as short as it was typed");
    }

    #[test]
    fn distances_alone_are_enough() {
        let text = r#"{"mean_attention_distance":[[1,2],[3]]}"#;
        let read: MeanAttentionDistances =
            json::from_json(text.as_bytes()).expect("a minimal file");
        assert_eq!(read, MeanAttentionDistances::new(vec![vec![1.0, 2.0], vec![3.0]]));
        assert_eq!(read.num_heads(), [2, 1]);
    }

    #[test]
    fn unknown_fields_are_refused() {
        let message = refusal(r#"{"mean_attention_distance":[[1]],"unit":"pixels"}"#);
        assert!(message.contains("unknown field `unit`"), "{message}");
    }

    #[test]
    fn null_is_no_distance() {
        let message = refusal(r#"{"mean_attention_distance":[[1,null]]}"#);
        assert!(message.contains("invalid type: null"), "{message}");
    }

    #[test]
    fn empty_text_is_refused() {
        assert!(refusal("").contains("EOF"));
    }

    #[test]
    fn a_negative_distance_is_refused_with_its_place() {
        assert_eq!(
            refusal(r#"{"mean_attention_distance":[[1],[2,-3]]}"#),
            "the mean attention distance of layer 1, head 1 must be finite and not negative, \
             got -3 pixels"
        );
    }

    #[test]
    fn nan_is_neither_accepted_nor_written() {
        let distances = MeanAttentionDistances::new(vec![vec![1.0, f64::NAN]]);
        let error = json::to_json(&distances).expect_err("NaN");
        assert!(matches!(error, ClusteringError::NotADistance { layer: 0, head: 1, .. }));
    }

    #[test]
    fn no_layers_and_no_heads_are_refused() {
        assert!(refusal(r#"{"mean_attention_distance":[]}"#).contains("at least one layer"));
        assert!(refusal(r#"{"mean_attention_distance":[[1],[]]}"#).starts_with("layer 1"));
    }

    #[test]
    fn std_of_another_shape_is_refused() {
        let message = refusal(r#"{"mean_attention_distance":[[1,2]],"std":[[1]]}"#);
        assert!(message.contains("[2], got [1]"), "{message}");
        let message = refusal(r#"{"mean_attention_distance":[[1,2]],"std":[[1,-1]]}"#);
        assert!(message.starts_with("the standard deviation of layer 0, head 1"), "{message}");
    }

    #[test]
    fn a_side_for_each_layer_or_none_at_all() {
        let message = refusal(r#"{"mean_attention_distance":[[1],[2]],"attended_side":[56]}"#);
        assert_eq!(
            message,
            "attended_side must have one side of at least 1 pixel for each of 2 layers, got [56]"
        );
        let message = refusal(r#"{"mean_attention_distance":[[1],[2]],"attended_side":[56,0]}"#);
        assert!(message.ends_with("got [56, 0]"), "{message}");
    }

    #[test]
    fn a_change_for_each_layer_or_none_at_all() {
        for (changes, got) in
            [("[0.5]", "[0.5]"), ("[0.5,1.5]", "[0.5, 1.5]"), ("[-1,0]", "[-1.0, 0.0]")]
        {
            let changes = format!(r#""representation_change":{changes}"#);
            let message = refusal(&format!(r#"{{"mean_attention_distance":[[1],[2]],{changes}}}"#));
            let wanted =
                "changes of representation must be 2 numbers from 0 to 1, one for each layer";
            assert_eq!(message, format!("{wanted}, got {got}"));
        }
    }

    #[test]
    fn stages_are_all_layers() {
        assert_eq!(full().stages(), Some(vec![0..1, 1..2]));
        for depths in ["[1]", "[2,0]", "[3]", "[18446744073709551615,3]"] {
            let text = format!(r#"{{"mean_attention_distance":[[1],[2]],"depths":{depths}}}"#);
            let message = refusal(&text);
            assert!(message.starts_with("depths must add up to 2 layers"), "{message}");
        }
    }

    #[test]
    fn default_eps_follows_the_side_of_each_layer() {
        let with_sides = |attended_side| MeanAttentionDistances { attended_side, ..full() };
        assert_eq!(with_sides(Some(vec![224, 112])).default_eps(), Some(vec![10.0, 5.0]));
        assert_eq!(with_sides(Some(vec![448, 448])).default_eps(), Some(vec![20.0]));
        assert_eq!(with_sides(None).default_eps(), None);
    }

    #[test]
    fn file_errors_name_the_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let missing = folder.path().join("missing.json");
        let error = MeanAttentionDistances::read(&missing).expect_err("missing");
        assert_eq!(error.to_string(), format!("cannot read {}", missing.display()));

        let nowhere = folder.path().join("no/folder/distances.json");
        let error = full().write(&nowhere).expect_err("no folder");
        assert_eq!(error.to_string(), format!("cannot write {}", nowhere.display()));

        let bad = folder.path().join("bad.json");
        std::fs::write(&bad, r#"{"mean_attention_distance":[]}"#).expect("writable");
        let error = MeanAttentionDistances::read(&bad).expect_err("no layers");
        assert_eq!(error.to_string(), format!("{} is refused", bad.display()));
    }
}
