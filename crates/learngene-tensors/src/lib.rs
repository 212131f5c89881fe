#![doc = include_str!("../README.md")]

pub mod safetensors;

mod dtype;
mod error;
mod part;
mod quantised;
mod sha256;
mod shapes;
mod state_dict;
mod tensor;
mod write;

pub use dtype::Dtype;
pub use error::{Error, Result};
pub use part::Part;
pub use quantised::{Grid, Quantised};
pub use safetensors::Safetensors;
pub use sha256::Sha256;
pub use shapes::check_shapes;
pub use state_dict::StateDict;
pub use tensor::Tensor;
pub use write::{remove_partial, write_folder_whole, write_whole};
