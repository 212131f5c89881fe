//! Learnable parameter transformations: they make the layers of a group, and the copies of a head,
//! different from each other.
//!
//! [`attach`] turns a model into a [`Transforming`], which trains like any other, and
//! [`Transforming::fold`] turns it back into an ordinary model.
//!
//! ```text
//! transforming                  the model whose weights are computed in every pass
//! transformations               everything that is learnt, by name
//! linear, cross_layer, heads    one kind of transformation each: W_k = T_k(W)
//! bank                          the FFNs that layers share, each once
//! ```

mod affine;
mod bank;
mod config;
mod cross_layer;
mod drawing;
mod heads;
mod linear;
mod text;
mod transformations;
mod transforming;

#[cfg(test)]
mod tests;

pub use config::{FfnTransformation, HeadTransformation, Scope, TransformationConfig};
pub use transforming::{Transforming, attach};
