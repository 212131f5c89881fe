//! The ancestor of an experiment, and what commands are told about it.

use crate::learngene::Line;

const DESK: &str = "datasets/desk_ancestor/desk_ancestor.safetensors";

/// An ancestor with its flags.
pub(crate) struct Subject {
    /// Where it lies, from the root.
    pub(crate) checkpoint: String,
    /// Radius of clusters, in pixels.
    pub(crate) eps: f64,
    /// How it is probed.
    pub(crate) probe: Vec<String>,
    /// What all its descendants have in common.
    pub(crate) expand: Vec<String>,
}

impl Subject {
    /// The desk ancestor. The paper's 10 px of 224 would be 1.43 px here and join nearly all heads
    /// of a layer: in so small a ViT they all look 13 to 20 px far. This radius keeps about half.
    pub(crate) fn desk() -> Self {
        let probe = "--images cifar10-sample --limit 512 --batch-size 64";
        Self { checkpoint: DESK.into(), eps: 0.3, probe: words(probe), expand: Vec::new() }
    }

    /// The command that measures distances, its `--out` aside.
    pub(crate) fn probing(&self) -> Line {
        self.on_images(Line::new("probe").flag("checkpoint", &self.checkpoint))
    }

    /// The command that condenses the ancestor, where distances come from and `--out` aside.
    pub(crate) fn condensing(&self) -> Line {
        Line::new("condense").flag("checkpoint", &self.checkpoint).flag("eps", self.eps)
    }

    /// A command with the images of the probe.
    pub(crate) fn on_images(&self, line: Line) -> Line {
        line.args(&self.probe)
    }

    /// The command that initialises a descendant, its shape and `--out` aside.
    pub(crate) fn expanding(&self, gene: impl ToString) -> Line {
        Line::new("expand").arg(gene).args(&self.expand)
    }
}

/// Flags as one would type them.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
