//! Checkpoints: against PyTorch, with options, and all that can be wrong with them.

mod beside;
mod common;
mod errors;
mod goldens;
mod layer_scale;
mod options;
mod swin;
mod swin_errors;
mod write_errors;
