use thiserror::Error;

/// Why transformations cannot be attached to a model.
///
/// Layers are counted from 0, through all stages.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum TransformationError {
    /// A size that is nothing, or far too large.
    #[error("{what} must be 1 to {limit}, got {got}")]
    Size {
        /// What is of that size.
        what: &'static str,
        /// The size asked for.
        got: usize,
        /// The largest accepted.
        limit: usize,
    },
    /// A plan for a model of another depth.
    #[error(
        "the plan of transformations tells of the {part} of {got} layers, the model has {want}"
    )]
    Depth {
        /// `FFNs` or `heads`.
        part: &'static str,
        /// Layers of the plan.
        got: usize,
        /// Layers of the model.
        want: usize,
    },
    /// A plan for a layer of other heads.
    #[error(
        "layer {layer}: the plan of transformations tells of {got} heads, the layer has {want}"
    )]
    Heads {
        /// The layer at fault.
        layer: usize,
        /// Heads of the plan.
        got: usize,
        /// Heads of the model's layer.
        want: usize,
    },
    /// A plan whose group crosses the border of a stage.
    #[error(
        "layer {layer}: the plan of transformations gives it the FFN of layer {first}, which lies \
         in another stage"
    )]
    Stages {
        /// The layer at fault.
        layer: usize,
        /// The first layer of its group.
        first: usize,
    },
}
