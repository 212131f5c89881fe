/// What a model gets instead: see [`Family::reshaped`](crate::Family::reshaped).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reshape {
    /// `[stage][block]`: other layers.
    pub layers: Option<Vec<Vec<LayerSizes>>>,
    /// Width of a token in the first stage.
    pub embed_dim: Option<usize>,
    /// Side of the image, in pixels.
    pub image_size: Option<usize>,
    /// Number of classes; 0 for no classifier.
    pub num_classes: Option<usize>,
}

/// What layers of one model may differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerSizes {
    /// Attention heads.
    pub num_heads: usize,
    /// Hidden units of the FFN.
    pub hidden_dim: usize,
}

impl Reshape {
    /// Heads and hidden widths of the layers asked for, through all stages; `None` where layers stay.
    pub(crate) fn sizes(&self) -> Option<(Vec<usize>, Vec<usize>)> {
        let layers = self.layers.as_ref()?.iter().flatten();
        Some(layers.map(|layer| (layer.num_heads, layer.hidden_dim)).unzip())
    }
}
