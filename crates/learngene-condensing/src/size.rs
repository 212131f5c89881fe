//! What fits into a file of a given size.

use learngene_budget::{choose, front};
use learngene_checkpoints::Checkpoint;
use learngene_format::file_size;
use learngene_shape::{LayerSizes, Shape};
use learngene_tensors::{Error, Result};
use serde::Serialize;

use crate::{FitOptions, Worth};

/// Bytes of the header for each tensor, at most: its name three times, its shape and its hash.
const BYTES_PER_TENSOR: usize = 400;

/// Bytes of the header for each layer, at most: how well its matrices were fitted, its clusters.
const BYTES_PER_LAYER: usize = 2000;

/// Bytes of all else in the header but its long lists, at most.
const BYTES_OF_REST: usize = 4000;

impl Worth {
    /// Heads and hidden units of the first layers, those that lose least in a file of so many bytes.
    ///
    /// # Errors
    /// Fewer bytes than the smallest learngene has.
    pub fn within(
        &self,
        ancestor: &Checkpoint,
        bytes: u64,
        options: FitOptions,
    ) -> Result<Vec<LayerSizes>> {
        let classes = if options.classifier { ancestor.shape.num_classes() } else { 0 };
        let shape = ancestor.shape.with_num_classes(classes)?;
        let store = options.store.unwrap_or(ancestor.dtype.into());
        let size = |shape: &Shape| file_size(shape, store, options.any_size);
        let cost = |shape: &Shape| size(shape).bytes;
        let header = self.header_bytes(&shape, size(&shape).tensors);
        let room = bytes.saturating_sub(header);
        let smallest = front(&shape, &self.curves, &cost)?[0].cost + header;
        if bytes < smallest {
            let expected = format!("at least {smallest} bytes for the smallest learngene");
            return Err(Error::invalid("largest size", format!("{bytes} bytes"), expected));
        }
        Ok(choose(&shape, &self.curves, room, &cost)?.sizes)
    }

    /// What the header takes, at most.
    fn header_bytes(&self, shape: &Shape, tensors: usize) -> u64 {
        let lists = json_length(&self.curves) + json_length(&self.distances);
        (lists + BYTES_PER_TENSOR * tensors + BYTES_PER_LAYER * shape.depth() + BYTES_OF_REST)
            as u64
    }
}

fn json_length(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).expect("lists of numbers are JSON").len()
}
