//! Learnable parameter transformations: what makes the layers of a group, and the copies of a head,
//! different from each other.
//!
//! A descendant starts with one feed-forward network in all layers of a group, and with one head
//! in all slots that copy a centroid. Before everything is trained, a short phase learns how each
//! layer is made from the shared base, `W_k = T_k(W)`, while the bases stay as they are
//! (Cluster-Learngene, "learnable parameter transformations"): [`attach`] makes a [`Transforming`]
//! of a model, which trains like a plain one, and [`Transforming::fold`] an ordinary model again,
//! whose layers are separate.
//!
//! All transformations begin as the identity, so that the first step starts from plain inheritance,
//! and gradients reach them. In the code that was published with the paper neither held: it put a
//! random linear-ReLU-linear between the bases and the layers, and assigned the results through
//! `.data`, past the gradient.
//!
//! Of the heads nothing but [`HeadTransformation::LowRank`] parts equal copies: they get equal
//! gradients, and whatever is the same function of equal weights stays equal.
//!
//! # Cost
//!
//! A forward pass works out the weights of the layers that are transformed, once: it reads the bank
//! of bases and writes as many weights as the layers have. `scale-shift` does nothing more;
//! `low-rank` adds `rank` multiplications for each weight. Both need the memory of one more model.
//! `cross-layer` multiplies `hidden * (bases + layers)` times for each weight of a base, and a
//! training step keeps `hidden` numbers for each weight of one layer of a stage, before and after
//! the ReLU: 16 of them for the feed-forward networks of a ViT-S are 150 MB, of a ViT-B 600 MB. Run
//! layer by layer, as with gradient checkpointing, each layer mixes its stage again.
//!
//! The backward pass costs what it does for a plain model, less the weight gradients of what is
//! frozen: those of transformed weights are needed to find the transformations' own.

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
