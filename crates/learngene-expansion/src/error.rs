use learngene_models::{StateDictError, VitConfigError};
use thiserror::Error;

use crate::Ratio;

/// Why a descendant cannot be made.
///
/// Layers and heads are counted from 0.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ExpansionError {
    /// A text names none of the possible choices.
    #[error("{what} must be {want}, got `{got}`")]
    Text {
        /// What the text was to say.
        what: &'static str,
        /// The text.
        got: String,
        /// What it could have said.
        want: &'static str,
    },
    /// A head ratio that is zero, negative, not a number or not readable.
    #[error("head ratio must be a positive number such as 2, 4/3, 1/8 or 0.125, got `{got}`")]
    Ratio {
        /// The ratio as it was written.
        got: String,
    },
    /// A descendant without layers.
    #[error("depth of a descendant must be at least 1, got 0")]
    NoLayers,
    /// A number beyond any model there is, refused before memory is asked for it.
    #[error("{what} of a descendant must be at most {limit}, got {got}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The number asked for.
        got: usize,
        /// The largest number accepted.
        limit: usize,
    },
    /// The list of inherited layers does not fit the depth.
    #[error("the descendant is {depth} layers deep, but its list of inherited layers has {got}")]
    LayerListLength {
        /// Layers in the list.
        got: usize,
        /// Depth asked for.
        depth: usize,
    },
    /// The list of inherited layers names one that the ancestor does not have.
    #[error(
        "layer {layer} of the descendant is to inherit layer {got}, but the ancestor's layers are \
         0 to {}",
        depth - 1
    )]
    UnknownLayer {
        /// Layer of the descendant.
        layer: usize,
        /// Layer of the ancestor that was asked for.
        got: usize,
        /// Depth of the ancestor.
        depth: usize,
    },
    /// The list of head counts does not fit the depth.
    #[error("the descendant is {depth} layers deep, but its list of head counts has {got}")]
    HeadListLength {
        /// Counts in the list.
        got: usize,
        /// Depth of the descendant.
        depth: usize,
    },
    /// A layer without heads.
    #[error("layer {layer} of the descendant must have at least 1 head, got 0")]
    NoHeads {
        /// Layer of the descendant.
        layer: usize,
    },
    /// A head ratio that leaves a part of a head.
    #[error(
        "layer {layer} of the descendant: {heads} ancestor heads at head ratio {ratio} give {got} \
         heads, wanted a whole number of at least 1"
    )]
    FractionalHeads {
        /// Layer of the descendant.
        layer: usize,
        /// Heads of the ancestor layer that it inherits.
        heads: usize,
        /// The ratio asked for.
        ratio: Ratio,
        /// What came out, in lowest terms.
        got: String,
    },
    /// The projection policy `origin` without the ancestor's projections.
    #[error(
        "layer {layer}: projection `origin` needs `layers.{layer}.attn.proj.origin`, which the \
         learngene does not hold; condense with --keep-projection, or choose centroid or rescaled"
    )]
    ProjectionAbsent {
        /// Layer of the ancestor.
        layer: usize,
    },
    /// The classifier is to be inherited, but was not kept.
    #[error(
        "the classifier is to be inherited, but the {place} holds none; ask for a fresh classifier"
    )]
    ClassifierAbsent {
        /// `learngene` or `ancestor`.
        place: &'static str,
    },
    /// The classifier is to be inherited for another number of classes.
    #[error(
        "the classifier is to be inherited for {got} classes, but tells {want} apart; ask for a \
         fresh classifier"
    )]
    ClassifierClasses {
        /// Classes asked for.
        got: usize,
        /// Classes of the ancestor.
        want: usize,
    },
    /// A shape that no vision transformer can have.
    #[error(transparent)]
    Shape(#[from] VitConfigError),
    /// The ancestor's parameters are not those of its shape.
    #[error("ancestor: {0}")]
    Ancestor(#[from] StateDictError),
}
