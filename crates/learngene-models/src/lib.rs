//! Vision transformers spelled as timm spells them, generic over burn devices.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use learngene_models::{Classifier, VitConfig};
//!
//! let device = Device::flex();
//! let vit = VitConfig::uniform(48, 2, 3).with_image_size(32).with_patch_size(8).with_num_classes(7).init(&device);
//! let logits = vit.forward(Tensor::zeros([1, 3, 32, 32], &device));
//! assert_eq!(logits.dims(), [1, 7]);
//! ```

pub mod checkpoint;

mod classifier;
mod count;
mod head_layout;
mod state_dict;
mod vit;

pub use classifier::Classifier;
pub use count::{count_macs, count_parameters};
pub use head_layout::{Head, HeadLayout, Projection};
pub use state_dict::{HostTensor, StateDict, StateDictError};
pub use vit::{
    Attention, AttentionOutput, Block, Mlp, PatchEmbed, Vit, VitConfig, VitConfigError, VitOutput,
};
