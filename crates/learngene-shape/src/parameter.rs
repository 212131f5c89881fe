//! One parameter of a model, and what its axes stand for.

use crate::{HeadLayout, LayerShape};

/// A parameter of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// timm's name, such as `blocks.3.attn.qkv.weight`.
    pub name: String,
    /// Where between images and logits it acts.
    pub place: Place,
    /// What its axes stand for; linear weights are `[out, in]`.
    pub axes: Vec<Axis>,
    /// Its value in a freshly initialised model.
    pub init: Init,
    /// Whether weight decay applies to it.
    pub decays: bool,
}

/// Where between images and logits a parameter acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Before the first layer: patches, positions, class token.
    Stem,
    /// Where tokens are merged at the start of a stage.
    Merging {
        /// The stage that begins there.
        stage: usize,
    },
    /// In a transformer layer.
    Layer {
        /// The layer, counted through all stages.
        layer: usize,
        /// The part of the layer.
        part: Part,
    },
    /// The norm after the last layer.
    FinalNorm,
    /// The classifier.
    Classifier,
}

/// Part of a transformer layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The norm before the attention.
    Norm1,
    /// The attention, its output projection included.
    Attention,
    /// The norm before the FFN.
    Norm2,
    /// The feed-forward network.
    Ffn,
}

/// What an axis of a parameter stands for, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Channels of the residual stream.
    Stream {
        /// The stage whose stream it is.
        stage: usize,
        /// Number of channels.
        width: usize,
    },
    /// Channels of four neighbouring tokens side by side, before they are merged.
    Merged {
        /// The stage whose tokens they are.
        stage: usize,
        /// Channels of one token.
        width: usize,
    },
    /// Channels of all heads, `[roles, num_heads, head_dim]`: `roles` is 3 where query, key and value
    /// lie one after the other, else 1.
    Heads {
        /// Query, key and value, or one.
        roles: usize,
        /// Number and width of the heads.
        layout: HeadLayout,
    },
    /// One entry for each head.
    PerHead {
        /// Number of heads.
        num_heads: usize,
    },
    /// Hidden units of an FFN, `[parts, width]`: `parts` is 2 where a gate lies before the values.
    Hidden {
        /// Gate and values, or one.
        parts: usize,
        /// Number of hidden units.
        width: usize,
    },
    /// Positions of tokens: those of prefix tokens, then of a square grid row by row.
    Grid {
        /// Tokens before the patches.
        prefix: usize,
        /// Patches along one side.
        side: usize,
    },
    /// Relative positions of two tokens in a square window, `(2 side - 1)^2`.
    Window {
        /// Tokens along one side of the window.
        side: usize,
    },
    /// Classes of the classifier.
    Classes(usize),
    /// An axis that stays as it is.
    Fixed(usize),
}

/// Value of a parameter in a freshly initialised model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// The same value everywhere.
    Constant(f32),
    /// A normal distribution around 0.
    Normal {
        /// Its standard deviation.
        std: f64,
    },
}

impl Parameter {
    /// Length of each axis.
    pub fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.len()).collect()
    }

    /// Scalars in it.
    pub fn count(&self) -> usize {
        self.axes.iter().map(|axis| axis.len()).product()
    }

    /// The axis along which heads lie, if they do.
    pub fn head_axis(&self) -> Option<usize> {
        let is_of_heads = |axis: &Axis| matches!(axis, Axis::Heads { .. } | Axis::PerHead { .. });
        self.axes.iter().position(is_of_heads)
    }

    /// Whether an axis is the input of a linear map: what lies along it is read, not written.
    pub fn reads(&self, axis: usize) -> bool {
        let is_linear = matches!(&self.axes[..], [out, _] if !matches!(out, Axis::Window { .. }));
        is_linear && axis == 1
    }

    /// Whether it is a matrix of a layer: `[out, in]` of a linear map.
    pub fn is_layer_matrix(&self) -> bool {
        self.place.layer().is_some() && self.reads(1)
    }

    /// Whether it is the weight of a layer's output projection, which reads the heads' outputs.
    pub fn is_output_projection(&self) -> bool {
        self.reads(1) && matches!(self.axes[1], Axis::Heads { roles: 1, .. })
    }

    /// Whether it is the second matrix of a layer's FFN, which reads the hidden units.
    pub fn is_second_ffn_matrix(&self) -> bool {
        self.reads(1) && matches!(self.axes[1], Axis::Hidden { .. })
    }

    /// Name of the module of a weight: `blocks.3.attn.proj`.
    ///
    /// # Panics
    /// Panics for a parameter that is not a weight.
    pub fn module(&self) -> &str {
        self.name.strip_suffix(".weight").expect("a weight's name ends so")
    }

    /// Name of the bias that goes with a weight.
    ///
    /// # Panics
    /// Panics for a parameter that is not a weight.
    pub fn bias_name(&self) -> String {
        format!("{}.bias", self.module())
    }
}

impl Axis {
    /// Its length.
    #[expect(clippy::len_without_is_empty, reason = "no axis is empty")]
    pub fn len(&self) -> usize {
        match *self {
            Self::Stream { width, .. } => width,
            Self::Merged { width, .. } => 4 * width,
            Self::Heads { roles, layout } => roles * layout.attention_dim(),
            Self::PerHead { num_heads } => num_heads,
            Self::Hidden { parts, width } => parts * width,
            Self::Grid { prefix, side } => prefix + side * side,
            Self::Window { side } => (2 * side - 1) * (2 * side - 1),
            Self::Classes(length) | Self::Fixed(length) => length,
        }
    }

    /// Parts of equal length that lie side by side along it, whose elements belong together place by
    /// place: query, key and value; the tokens that are merged; gate and values.
    pub fn parts(&self) -> usize {
        match *self {
            Self::Heads { roles, .. } => roles,
            Self::Hidden { parts, .. } => parts,
            Self::Merged { .. } => 4,
            _ => 1,
        }
    }
}

impl Place {
    /// The layer that it belongs to, where it is in one.
    pub fn layer(self) -> Option<usize> {
        match self {
            Self::Layer { layer, .. } => Some(layer),
            _ => None,
        }
    }
}

/// Makes the parameters of one place, one after another.
pub(crate) struct Listing(pub Vec<Parameter>);

/// Standard deviation of freshly initialised weights, as in timm.
const STD: f64 = 0.02;

impl Listing {
    /// A linear or convolutional weight, or another tensor of several axes that is learnt with decay.
    pub fn weight(&mut self, name: String, place: Place, axes: impl Into<Vec<Axis>>) {
        let init = Init::Normal { std: STD };
        self.0.push(Parameter { name, place, axes: axes.into(), init, decays: true });
    }

    /// A token, positions or a table: drawn like a weight, without decay.
    pub fn embedding(&mut self, name: String, place: Place, axes: impl Into<Vec<Axis>>) {
        let init = Init::Normal { std: STD };
        self.0.push(Parameter { name, place, axes: axes.into(), init, decays: false });
    }

    /// A vector of one value.
    pub fn vector(&mut self, name: String, place: Place, axis: Axis, value: f32) {
        let init = Init::Constant(value);
        self.0.push(Parameter { name, place, axes: vec![axis], init, decays: false });
    }

    /// A weight and a bias as long as its first axis.
    pub fn linear(&mut self, module: &str, place: Place, axes: impl Into<Vec<Axis>>) {
        let axes = axes.into();
        let out = axes[0];
        self.weight(format!("{module}.weight"), place, axes);
        self.vector(format!("{module}.bias"), place, out, 0.0);
    }

    /// A layer norm.
    pub fn norm(&mut self, module: &str, place: Place, axis: Axis) {
        self.vector(format!("{module}.weight"), place, axis, 1.0);
        self.vector(format!("{module}.bias"), place, axis, 0.0);
    }

    /// A pre-norm transformer layer as timm's ViT and Swin have it: norm, attention, norm, FFN.
    pub fn layer(&mut self, block: &str, layer: usize, shape: LayerShape) {
        let stream = Axis::Stream { stage: shape.stage, width: shape.embed_dim };
        let heads = |roles| Axis::Heads { roles, layout: shape.heads };
        let hidden = |parts| Axis::Hidden { parts, width: shape.ffn.hidden_dim };
        let place = |part| Place::Layer { layer, part };
        self.norm(&format!("{block}.norm1"), place(Part::Norm1), stream);
        self.linear(&format!("{block}.attn.qkv"), place(Part::Attention), [heads(3), stream]);
        self.linear(&format!("{block}.attn.proj"), place(Part::Attention), [stream, heads(1)]);
        self.norm(&format!("{block}.norm2"), place(Part::Norm2), stream);
        let parts = shape.ffn.kind.parts();
        self.linear(&format!("{block}.mlp.fc1"), place(Part::Ffn), [hidden(parts), stream]);
        self.linear(&format!("{block}.mlp.fc2"), place(Part::Ffn), [stream, hidden(1)]);
    }
}

#[cfg(test)]
mod tests {
    use crate::Shape;

    #[test]
    fn each_layer_has_four_matrices_of_which_two_are_read_last() {
        for (name, shape) in Shape::presets() {
            for layer in 0..shape.depth() {
                let parameters = shape.layer_parameters(layer);
                let names = parameters.iter().map(|p| &p.name).collect::<Vec<_>>();
                let ends = [
                    parameters.iter().filter(|p| p.is_output_projection()).collect::<Vec<_>>(),
                    parameters.iter().filter(|p| p.is_second_ffn_matrix()).collect(),
                ];
                for (end, found) in [".attn.proj", ".mlp.fc2"].iter().zip(ends) {
                    let [weight] = found[..] else { panic!("{name}: {found:?}") };
                    assert!(weight.module().ends_with(end), "{name}: {}", weight.name);
                    assert!(names.contains(&&weight.bias_name()), "{name}: {}", weight.name);
                }
                let matrices = parameters.iter().filter(|p| p.is_layer_matrix());
                let modules: Vec<_> = matrices.map(|p| p.module()).collect();
                let ends = [".attn.qkv", ".attn.proj", ".mlp.fc1", ".mlp.fc2"];
                assert_eq!(modules.len(), 4, "{name}: {modules:?}");
                assert!(modules.iter().zip(ends).all(|(m, end)| m.ends_with(end)), "{modules:?}");
            }
        }
    }
}
