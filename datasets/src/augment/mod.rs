//! Random changes of training images, the same for the same seed, epoch, image and repeat.

mod affine;
mod bounds;
mod change;
mod colour;
mod erasing;
mod mix;
mod operation;
mod rand_augment;
mod region;
mod repeats;
mod resized_crop;
mod settings;
#[cfg(test)]
mod timm;

pub(crate) use change::Scratch;
pub use change::{Change, Crop};
pub use erasing::{Erase, RandomErasing};
pub use mix::Mix;
pub use operation::Operation;
pub use rand_augment::{RandAugment, UnknownRandAugment};
pub use region::Region;
pub use repeats::{View, repeat_views, views_per_epoch};
pub use resized_crop::ResizedCrop;
pub use settings::{Augment, CheckedAugment};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for. Each part has its own, so that one does not change when another is
/// turned on.
#[derive(Clone, Copy)]
enum Part {
    FlipAndMove,
    ResizedCrop,
    RandAugment,
    ColorJitter,
    Erasing,
    Mix,
}

/// The random numbers of one part of one view (or, for [`Part::Mix`], of one step, `number`, of repeat 0).
fn stream(seed: u64, epoch: u64, number: u64, repeat: u32, part: Part) -> ChaCha8Rng {
    // The three numbers are the key of the generator, so that no two images share a stream.
    let mut key = [0; 32];
    for (bytes, number) in key.chunks_exact_mut(8).zip([seed, epoch, number]) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(u64::from(repeat) << 8 | part as u64);
    rng
}
