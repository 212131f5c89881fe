//! Checkpoints: against PyTorch, with options, and all that can be wrong with them.

mod common;
mod errors;
mod goldens;
mod options;
