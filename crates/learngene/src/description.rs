//! The description beside a descendant's checkpoint: `expand` writes it, `inspect` draws it, and
//! `train` reads which heads and FFNs are copies.

use std::path::Path;

use anyhow::{Context, ensure};
use learngene_expansion::SlotSource;
use learngene_shape::Shape;
use learngene_tensors::Sha256;
use serde::{Deserialize, Serialize};

use crate::{files::read, method::Method, text::count, transformations_file::Origin};

/// What a descendant is made of.
#[derive(Debug, Serialize, Deserialize)]
pub struct Description {
    /// Program and version that made it.
    pub producer: String,
    #[serde(flatten)]
    pub origin: Origin,
    pub shape: Shape,
    pub parameters: u64,
    /// Values of the ancestor that it took.
    pub inherited_parameters: u64,
    /// Multiply-accumulates of one image.
    pub macs: u64,
    /// `[layer]`: the ancestor's layer that it is from; none where it was drawn.
    pub layers: Vec<Option<usize>>,
    /// `[layer][head]`; empty for a layer whose heads are no heads of the ancestor.
    pub slots: Vec<Vec<SlotSource>>,
    /// `[layer]`: equal numbers for layers that share an FFN.
    pub ffn: Vec<usize>,
    /// Of the file with the transformations that were folded in.
    pub folded_sha256: Option<Sha256>,
}

impl Description {
    /// Reads what `expand` wrote, with entries for all layers and heads.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let place = || format!("{} is not what `expand` writes", path.display());
        let description: Self = serde_json::from_slice(&read(path)?).with_context(place)?;
        description.check().with_context(place)?;
        Ok(description)
    }

    fn check(&self) -> anyhow::Result<()> {
        let (wanted, why) = match self.origin.method {
            Method::FromScratch => (0, "a model from scratch inherits no layers"),
            _ => (self.shape.depth(), "one for each layer of `shape`"),
        };
        let lists =
            [("layers", self.layers.len()), ("slots", self.slots.len()), ("ffn", self.ffn.len())];
        for (field, found) in lists {
            let entries = count(found, "entry", "entries");
            ensure!(found == wanted, "`{field}` has {entries}, wanted {wanted}: {why}");
        }
        for (layer, (slots, wanted)) in self.slots.iter().zip(self.shape.num_heads()).enumerate() {
            let entries = count(slots.len(), "entry", "entries");
            // None where heads were drawn, or picked from several.
            ensure!(
                slots.is_empty() || slots.len() == wanted,
                "`slots` has {entries} for layer {layer}, wanted {wanted}: one for each of its heads"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use learngene_expansion::{DescendantConfig, NewLayers};
    use learngene_shape::{Family, Vit};

    use super::*;

    impl Description {
        /// Two layers of three heads and one, from one layer of the ancestor.
        pub fn example() -> Self {
            let slot = |layer, head| SlotSource {
                layer,
                head,
                projection_head: head,
                projection_scale: 0.5,
            };
            Self {
                producer: "learngene".into(),
                origin: Origin {
                    method: Method::ClusterLearngene,
                    learngene_sha256: None,
                    ancestor_sha256: None,
                    inherited_layers: None,
                    shared_layers: None,
                    config: DescendantConfig {
                        new_layers: NewLayers::Identity,
                        ..Default::default()
                    },
                },
                shape: Vit::new(8, vec![3, 1], 4, vec![16; 2]).shape().expect("possible"),
                parameters: 100,
                inherited_parameters: 60,
                macs: 1000,
                layers: vec![Some(2), Some(2)],
                slots: vec![vec![slot(2, 5), slot(2, 1), slot(2, 5)], vec![slot(2, 1)]],
                ffn: vec![1, 1],
                folded_sha256: None,
            }
        }
    }

    /// Reads a description of which one thing was changed.
    fn read_changed(change: fn(&mut Description)) -> Result<Description, String> {
        let mut description = Description::example();
        change(&mut description);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("d.json");
        let json = serde_json::to_vec(&description).expect("plain data");
        std::fs::write(&path, json).expect("a temporary folder is writable");
        Description::read(&path).map_err(|error| format!("{error:#}"))
    }

    #[track_caller]
    fn check(change: fn(&mut Description), message: &str) {
        let error = read_changed(change).expect_err(message);
        let end = format!("d.json is not what `expand` writes: {message}");
        assert!(error.ends_with(&end), "{error}");
    }

    #[test]
    fn what_agrees_with_itself_is_read() {
        assert!(read_changed(|_| {}).is_ok());
        assert!(read_changed(|d| d.slots[0].clear()).is_ok(), "heads that were drawn");
        let from_scratch = |d: &mut Description| {
            d.origin.method = Method::FromScratch;
            (d.layers, d.slots, d.ffn) = Default::default();
        };
        assert!(read_changed(from_scratch).is_ok());
    }

    #[test]
    fn lists_of_another_depth_are_refused() {
        let wanted = "wanted 2: one for each layer of `shape`";
        check(|d| d.layers.push(None), &format!("`layers` has 3 entries, {wanted}"));
        check(|d| d.slots.truncate(1), &format!("`slots` has 1 entry, {wanted}"));
        check(|d| d.ffn.clear(), &format!("`ffn` has 0 entries, {wanted}"));
    }

    #[test]
    fn layers_that_a_model_from_scratch_inherits_are_refused() {
        check(
            |d| d.origin.method = Method::FromScratch,
            "`layers` has 2 entries, wanted 0: a model from scratch inherits no layers",
        );
    }

    #[test]
    fn slots_of_other_heads_are_refused() {
        check(
            |d| d.slots[0].truncate(2),
            "`slots` has 2 entries for layer 0, wanted 3: one for each of its heads",
        );
    }
}
