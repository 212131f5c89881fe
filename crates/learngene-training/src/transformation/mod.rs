//! Learnable parameter transformations: what makes the layers of a group, and the copies of a head,
//! different from each other.
//!
//! [`attach`] makes a [`Transforming`] of a model, which trains like a plain one, and
//! [`Transforming::fold`] an ordinary model again.
//!
//! ```text
//! attach        checks, freezes, and fills what follows
//! bank          the feed-forward networks that layers share, each once
//! linear, cross_layer, heads    one transformation each: W_k = T_k(W)
//! transformations    all that is learnt, by name
//! transforming  the model whose weights are worked out anew in every pass
//! ```

mod affine;
mod attach;
mod bank;
mod config;
mod cross_layer;
mod drawing;
mod error;
mod heads;
mod linear;
mod plan;
mod text;
mod transformations;
mod transforming;

#[cfg(test)]
mod tests;

pub use attach::attach;
pub use config::{FfnTransformation, HeadTransformation, Scope, TransformationConfig};
pub use error::TransformationError;
pub use plan::TransformationPlan;
pub use transforming::Transforming;
