use learngene_models::{ShapeError, StateDictError};
use thiserror::Error;

use crate::{ProjectionPolicy, Ratio, text::join};

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
    /// A ratio that is zero, negative, not a number or not readable.
    #[error("a ratio must be a positive number such as 2, 4/3, 1/8 or 0.125, got `{got}`")]
    Ratio {
        /// The ratio as it was written.
        got: String,
    },
    /// A descendant without layers.
    #[error("depth of a descendant must be at least 1, got 0")]
    NoLayers,
    /// A stage without layers.
    #[error("stage {stage} of a descendant must have at least 1 layer, got 0")]
    NoLayersInStage {
        /// The stage.
        stage: usize,
    },
    /// A depth that does not tell of every stage.
    #[error(
        "the ancestor has {}; depth must have one number for each, such as {}, got {got}",
        stages_of(depths),
        halves(depths)
    )]
    StageCount {
        /// Numbers given.
        got: usize,
        /// Layers of each of the ancestor's stages.
        depths: Vec<usize>,
    },
    /// A depth ratio that leaves a part of a layer.
    #[error(
        "layers {first} to {last} of the ancestor at depth ratio {ratio} give {got} layers, wanted \
         a whole number of at least 1; multiples of {unit} give one in every stage"
    )]
    FractionalDepth {
        /// First layer of the ancestor's stage.
        first: usize,
        /// Last layer of the ancestor's stage.
        last: usize,
        /// The ratio asked for.
        ratio: Ratio,
        /// What came out, in lowest terms.
        got: String,
        /// The smallest ratio that leaves whole layers in every stage.
        unit: Ratio,
    },
    /// The list of inherited layers leads back to a stage, or leaves one out.
    #[error(
        "layer {layer} of the descendant is to inherit layer {got} of the ancestor's stage \
         {got_stage}, wanted one of stage {want_stage}"
    )]
    ForeignStage {
        /// Layer of the descendant.
        layer: usize,
        /// Layer of the ancestor that was asked for.
        got: usize,
        /// Its stage.
        got_stage: usize,
        /// The stage that the descendant's layer belongs to.
        want_stage: usize,
    },
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
         heads, wanted a whole number of at least 1; ratios that give one in every layer are {common} \
         divided by 1, 2, 3, ..: {}",
        quotients(*common)
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
        /// Greatest common divisor of the heads of all inherited layers.
        common: usize,
    },
    /// Images of another side whose windows have another side than the ancestor's.
    #[error(
        "images of {image_size} px make the windows of stage {stage} {got} tokens wide, but the \
         ancestor's biases of relative positions are for windows of {want}"
    )]
    Windows {
        /// Side of the images asked for, in pixels.
        image_size: usize,
        /// The stage at fault.
        stage: usize,
        /// Side of its windows, in tokens.
        got: usize,
        /// Side of the ancestor's windows.
        want: usize,
    },
    /// A layer of a Swin that is to keep its function, at a place whose windows are shifted otherwise
    /// than at its own.
    #[error(
        "layer {layer} of the descendant has windows shifted by {got} tokens, but the ancestor's \
         layer {source_layer}, which it inherits, by {want}, so with new layers as the identity the \
         model would not compute what it did; choose front layers, or a list in which layers keep \
         even or odd places of their stage"
    )]
    Shift {
        /// The descendant's layer.
        layer: usize,
        /// Shift of its windows, in tokens.
        got: usize,
        /// The ancestor's layer that it inherits.
        source_layer: usize,
        /// Shift of that layer's windows.
        want: usize,
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
    /// The projection policy `refit` without refitted projections.
    #[error("projection `refit` needs a learngene condensed with --refit; choose another")]
    RefitAbsent,
    /// Another projection policy than `refit` for refitted projections.
    #[error(
        "projection `{got}` needs the ancestor's own columns, but this learngene's were refitted; \
         choose refit, or condense without --refit"
    )]
    Refitted {
        /// The policy asked for.
        got: ProjectionPolicy,
    },
    /// A ratio of hidden width to token width that leaves a part of a channel.
    #[error(
        "layer {layer} of the descendant: a token width of {embed_dim} at MLP ratio {ratio} gives \
         a hidden width of {got}, wanted a whole number of at least 1"
    )]
    FractionalHidden {
        /// Layer of the descendant.
        layer: usize,
        /// Width of its tokens.
        embed_dim: usize,
        /// The ratio.
        ratio: Ratio,
        /// What came out, in lowest terms.
        got: String,
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
    /// A number of inherited layers that ancestor or descendant have not.
    #[error("the number of inherited layers must be 1 to {most} here, got {got}")]
    InheritedLayers {
        /// Layers asked for.
        got: usize,
        /// The most that the ancestor has and the descendant has room for.
        most: usize,
    },
    /// A stage that is to inherit more layers than it has.
    #[error(
        "stage {stage} of the descendant has {room} layers, but is to inherit {got} of the \
         ancestor's last layers; ask for fewer inherited layers, or for a deeper stage"
    )]
    StageRoom {
        /// The stage.
        stage: usize,
        /// Layers it is to inherit.
        got: usize,
        /// Layers it has.
        room: usize,
    },
    /// Changes of representation that are not those of the ancestor's layers.
    #[error(
        "changes of representation must be one finite number for each of the ancestor's {depth} \
         layers, got {got}"
    )]
    RepresentationChange {
        /// What there is instead.
        got: String,
        /// Depth of the ancestor.
        depth: usize,
    },
    /// Layers that share weights with no other.
    #[error("at least 2 layers in a row must share weights, got {got}")]
    SharedLayers {
        /// Layers asked for.
        got: usize,
    },
    /// Weight selection for a model that is larger than its ancestor.
    #[error(
        "weight selection picks from a larger model: layer {layer} of the descendant is to have \
         {what} {got}, but the ancestor's has {most}"
    )]
    Larger {
        /// Layer of the descendant.
        layer: usize,
        /// What is larger.
        what: &'static str,
        /// The number asked for.
        got: usize,
        /// The ancestor's.
        most: usize,
    },
    /// Weight selection for a layer that was picked from before.
    #[error(
        "weight selection picks from a larger model: layers {first} and {layer} of the descendant \
         would both be the ancestor's layer {source_layer}"
    )]
    Repeated {
        /// Layer of the descendant.
        layer: usize,
        /// The layer before it of the same origin.
        first: usize,
        /// Layer of the ancestor.
        source_layer: usize,
    },
    /// A shape that no vision transformer can have.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The ancestor's parameters are not those of its shape.
    #[error("ancestor: {0}")]
    Ancestor(#[from] StateDictError),
}

/// `3 stages of 2, 2, 2 layers`.
fn stages_of(depths: &[usize]) -> String {
    let layers = depths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let stages = if depths.len() == 1 { "stage" } else { "stages" };
    format!("{} {stages} of {layers} layers", depths.len())
}

/// `1,1,3,1`: half of the layers of each stage, rounded up.
fn halves(depths: &[usize]) -> String {
    join(&depths.iter().map(|depth| depth.div_ceil(2)).collect::<Vec<_>>())
}

/// `12, 6, 4, 3`, or `3, 3/2, 1, 3/4`: the largest ratios by which a number of heads can be divided.
fn quotients(heads: usize) -> String {
    let ratios = (1..=4).map(|divisor| Ratio::new(heads as u64, divisor));
    ratios.flatten().map(|ratio| ratio.to_string()).collect::<Vec<_>>().join(", ")
}
