//! Buffers of Flex tensors as plain `f32` slices, and how work on them is split.

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};
use rayon::prelude::*;

/// Elements that one task works on: 64 KiB, so that what a task reads and writes stays in the
/// second-level cache. Fixed, because partial sums depend on it.
pub(crate) const TASK: usize = 16 * 1024;

/// Whole rows of `row` elements that one task works on.
pub(crate) fn rows_per_task(row: usize) -> usize {
    (TASK / row).max(1)
}

/// The tensor with a buffer that holds its elements in order and nothing else.
///
/// Nothing is copied where that is so already, and a buffer that nobody shares stays unshared.
pub(crate) fn dense(tensor: FlexTensor) -> FlexTensor {
    let elements = tensor.layout().num_elements();
    let whole =
        tensor.layout().start_offset() == 0 && tensor.bytes().len() == elements * size_of::<f32>();
    if whole && tensor.is_contiguous() {
        return tensor;
    }
    match tensor.layout().contiguous_offsets() {
        // `to_contiguous` may share a longer buffer, so a contiguous part is copied here.
        Some((start, end)) => {
            new(tensor.storage::<f32>()[start..end].to_vec(), tensor.layout().shape().clone())
        }
        None => tensor.to_contiguous(),
    }
}

/// Writes over the tensor, `task` elements at a time in parallel, beside what each task is given.
///
/// Its own buffer is used where nobody else holds it. Otherwise every task copies its part into
/// a new one, which stays in the cache until it is written over.
pub(crate) fn overwrite<T: Send>(
    tensor: FlexTensor,
    task: usize,
    beside: impl IndexedParallelIterator<Item = T>,
    write: impl Fn(&mut [f32], T) + Sync,
) -> FlexTensor {
    let mut tensor = dense(tensor);
    if let Some(values) = tensor.try_storage_mut::<f32>() {
        values.par_chunks_mut(task).zip(beside).for_each(|(values, beside)| write(values, beside));
        return tensor;
    }
    let old = tensor.storage::<f32>();
    let mut values = vec![0.0; old.len()];
    values.par_chunks_mut(task).zip(old.par_chunks(task)).zip(beside).for_each(
        |((values, old), beside)| {
            values.copy_from_slice(old);
            write(values, beside);
        },
    );
    new(values, tensor.layout().shape().clone())
}

/// The last dimension of a tensor.
pub(crate) fn row_length(tensor: &FlexTensor) -> usize {
    tensor.layout().shape().last().copied().unwrap_or(1)
}

/// A contiguous tensor of these values.
pub(crate) fn new(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}
