//! The halves of a layer, and the matrix that each ends in.

use burn::tensor::Tensor;
use learngene_models::Model;
use learngene_shape::{Head, Parameter, Part, Place, Shape, select_heads, select_units};
use learngene_tensors::{StateDict, Tensor as HostTensor};

use crate::tokens::Drawn;

/// A half of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Attention,
    Ffn,
}

impl Half {
    pub const BOTH: [Self; 2] = [Self::Attention, Self::Ffn];

    /// Tokens after the half: `[batch, seq, embed_dim]` to the same.
    pub fn run(self, model: &Model, layer: usize, tokens: Tensor<3>) -> Tensor<3> {
        let added = match self {
            Self::Attention => model.project(layer, model.heads(layer, tokens.clone())),
            Self::Ffn => model.feed_forward(layer, tokens.clone()),
        };
        tokens + added
    }

    /// What [`Half::features`] gives of some tokens, and all tokens after the half.
    pub fn pass(
        self,
        model: &Model,
        layer: usize,
        tokens: Tensor<3>,
        drawn: &Drawn,
    ) -> (Tensor<2>, Tensor<3>) {
        let (features, added) = match self {
            Self::Attention => {
                let heads = model.heads(layer, tokens.clone());
                (drawn.of(heads.clone()), model.project(layer, heads))
            }
            Self::Ffn => {
                let hidden = model.hidden(layer, tokens.clone());
                (drawn.of(hidden.clone()), model.project_hidden(layer, hidden))
            }
        };
        (features, tokens + added)
    }

    /// What the half's last matrix reads, what the heads give or the hidden units, of some tokens.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, embed_dim]`
    /// - output: `[drawn, inputs]`
    pub fn features(
        self,
        model: &Model,
        layer: usize,
        tokens: Tensor<3>,
        drawn: &Drawn,
    ) -> Tensor<2> {
        match self {
            Self::Attention => drawn.of(model.heads(layer, tokens)),
            // It reads every token for itself.
            Self::Ffn => model.hidden(layer, drawn.of(tokens).unsqueeze_dim(0)).squeeze_dim(0),
        }
    }

    /// Number of features that its last matrix reads.
    pub fn num_features(self, shape: &Shape, layer: usize) -> usize {
        let layer = shape.layer(layer);
        match self {
            Self::Attention => layer.heads.attention_dim(),
            Self::Ffn => layer.ffn.hidden_dim,
        }
    }

    /// Features of some heads, or of some hidden units.
    pub fn features_of(self, shape: &Shape, layer: usize, groups: &[usize]) -> Vec<usize> {
        match self {
            Self::Attention => {
                let heads = shape.layer(layer).heads;
                groups.iter().flat_map(|head| heads.columns(Head(*head))).collect()
            }
            Self::Ffn => groups.to_vec(),
        }
    }

    /// The part of the layer between its norm and what it adds.
    pub fn part(self) -> Part {
        match self {
            Self::Attention => Part::Attention,
            Self::Ffn => Part::Ffn,
        }
    }

    /// Its last matrix.
    pub fn weight(self, shape: &Shape, layer: usize) -> Parameter {
        let last = shape.layer_parameters(layer).into_iter().find(|of| self.ends_in(of));
        last.expect("each half of a layer ends in a matrix")
    }

    /// Its first matrix, which reads the tokens after the norm.
    pub fn first_weight(self, shape: &Shape, layer: usize) -> Parameter {
        let is_first = |of: &Parameter| of.is_layer_matrix() && self.owns(of) && !self.ends_in(of);
        let first = shape.layer_parameters(layer).into_iter().find(is_first);
        first.expect("each half of a layer begins with a matrix")
    }

    fn ends_in(self, parameter: &Parameter) -> bool {
        match self {
            Self::Attention => parameter.is_output_projection(),
            Self::Ffn => parameter.is_second_ffn_matrix(),
        }
    }

    /// The rows of a matrix that [`Half::select`] takes.
    pub fn rows_of(self, matrix: &Parameter, groups: &[usize]) -> Vec<usize> {
        let rows = Parameter { axes: vec![matrix.axes[0]], ..matrix.clone() };
        let numbers = (0..rows.count()).map(|row| row as f32).collect();
        let selected = self.select(&rows, &HostTensor::new(rows.shape(), numbers), groups);
        selected.values.into_iter().map(|row| row as usize).collect()
    }

    /// Its parameters and those of its norm, by name, with some of its heads or hidden units alone.
    pub fn cut(
        self,
        parameters: &StateDict,
        shape: &Shape,
        layer: usize,
        kept: &[usize],
    ) -> impl Iterator<Item = (String, HostTensor)> {
        let of_half = shape.layer_parameters(layer).into_iter();
        of_half.filter(move |parameter| self.owns(parameter)).map(move |parameter| {
            let tensor = parameters.get(&parameter.name).expect("a model has all its parameters");
            let cut = self.select(&parameter, tensor, kept);
            (parameter.name, cut)
        })
    }

    /// One of its parameters with some of its heads or hidden units alone.
    pub fn select(self, parameter: &Parameter, tensor: &HostTensor, kept: &[usize]) -> HostTensor {
        match self {
            Self::Attention => select_heads(parameter, tensor, kept),
            Self::Ffn => select_units(parameter, tensor, kept),
        }
    }

    /// Whether a parameter is one of its norm or its own.
    pub fn owns(self, parameter: &Parameter) -> bool {
        let Place::Layer { part, .. } = parameter.place else { return false };
        match self {
            Self::Attention => matches!(part, Part::Norm1 | Part::Attention),
            Self::Ffn => matches!(part, Part::Norm2 | Part::Ffn),
        }
    }
}
