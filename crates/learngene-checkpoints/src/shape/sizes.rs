//! Sizes of a model, each read from the shape of one tensor.

use learngene_tensors::{Error, Result};

use crate::{container::Container, names::Names};

/// Reads sizes, and remembers which tensors could not give theirs.
pub(super) struct Sizes<'a> {
    names: Names,
    container: &'a Container,
    /// Layers of each stage.
    pub depths: Vec<usize>,
    /// Masks of shifted windows: the stage of each, and how many windows it is for.
    pub masks: &'a [(usize, usize)],
    missing: Vec<String>,
    mismatched: Vec<String>,
}

/// Widths of one layer.
pub(super) struct LayerWidths {
    /// Width of all heads together.
    pub attention_dim: usize,
    /// Hidden units of the FFN.
    pub hidden_dim: usize,
    /// Rows of the FFN's first matrix.
    pub fc1_rows: usize,
}

impl<'a> Sizes<'a> {
    pub fn new(names: Names, container: &'a Container, masks: &'a [(usize, usize)]) -> Self {
        let depths = names.depths(container.names());
        Self { names, container, depths, masks, missing: Vec::new(), mismatched: Vec::new() }
    }

    /// The shape of a parameter, by timm's name, which the file may hold as several tensors. Zeros
    /// where it is absent or has another number of axes, which [`Sizes::check`] then reports.
    pub fn of<const RANK: usize>(&mut self, timm: &str) -> [usize; RANK] {
        let mut shape = [0; RANK];
        let mut rows = 0;
        for name in self.names.stored(timm) {
            match self.container.tensors.get(&name).map(|header| &header.shape) {
                None => self.missing.push(name),
                Some(found) => match <[usize; RANK]>::try_from(&found[..]) {
                    Ok(found) => {
                        rows = usize::saturating_add(rows, found[0]);
                        shape = found;
                    }
                    Err(_) => {
                        self.mismatched.push(format!("{name} is {found:?}, expected {RANK} axes"));
                    }
                },
            }
        }
        shape[0] = rows;
        shape
    }

    /// Patches: `(embed_dim, in_channels, patch_size)`.
    pub fn patches(&mut self) -> (usize, usize, usize) {
        let [embed_dim, in_channels, patch_size, _] = self.of("patch_embed.proj.weight");
        (embed_dim, in_channels, patch_size)
    }

    /// Widths of a layer of tokens of that width, by timm's name.
    pub fn layer(&mut self, name: &str, embed_dim: usize) -> LayerWidths {
        let qkv_name = format!("{name}.attn.qkv.weight");
        let [qkv, columns] = self.of(&qkv_name);
        if qkv > 0 && (columns != embed_dim || !qkv.is_multiple_of(3)) {
            let stored = self.names.stored(&qkv_name).collect::<Vec<_>>().join(", ");
            let expected = format!("equal rows for query, key and value, and {embed_dim} columns");
            self.mismatched.push(format!("{stored} is [{qkv}, {columns}], expected {expected}"));
        }
        let [_, hidden_dim] = self.of(&format!("{name}.mlp.fc2.weight"));
        let [fc1_rows] = self.of(&format!("{name}.mlp.fc1.bias"));
        LayerWidths { attention_dim: qkv / 3, hidden_dim, fc1_rows }
    }

    /// Number of classes of the classifier of this name; 0 where there is none.
    pub fn classes(&mut self, classifier: &str) -> usize {
        let [weight, bias] = ["weight", "bias"].map(|leaf| format!("{classifier}.{leaf}"));
        let mut stored = self.names.stored(&weight).chain(self.names.stored(&bias));
        if !stored.any(|name| self.container.tensors.contains_key(&name)) {
            return 0;
        }
        let [num_classes] = self.of(&bias);
        num_classes
    }

    /// Refuses a file in which a tensor that was asked for is missing or has other axes.
    pub fn check(self, file: &std::path::Path) -> Result<()> {
        let Self { missing, mismatched, .. } = self;
        if missing.is_empty() && mismatched.is_empty() {
            return Ok(());
        }
        let what = file.display().to_string();
        Err(Error::Parameters { what, missing, unused: Vec::new(), mismatched })
    }
}
