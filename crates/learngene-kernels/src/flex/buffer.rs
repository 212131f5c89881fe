//! Buffers of Flex tensors as plain `f32` slices, and how work on them is split.

use std::mem::MaybeUninit;

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};
use multiversion::multiversion;
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
    let beside = old.par_chunks(task).zip(beside);
    let [values] = build([(old.len(), task)], beside, |[values], (old, beside)| {
        let values = values.write_copy_of_slice(old);
        write(values, beside);
        [values]
    });
    new(values, tensor.layout().shape().clone())
}

/// New buffers, each given by its length and by the elements of one task, written in parallel, task
/// by task, beside what each task is given.
///
/// Memory comes as the system gives it: clearing what is about to be written over would be another
/// pass. So `write` hands back what it has written: all of what it got.
#[allow(unsafe_code)]
pub(crate) fn build<T: Send, I: IntoParallelIterator<Item = T>, const N: usize>(
    lengths_and_tasks: [(usize, usize); N],
    beside: I,
    write: impl Fn([&mut [MaybeUninit<f32>]; N], T) -> [&mut [f32]; N] + Sync,
) -> [Vec<f32>; N]
where
    I::Iter: IndexedParallelIterator,
{
    let beside = beside.into_par_iter();
    let mut buffers = lengths_and_tasks.map(|(length, task)| (Box::new_uninit_slice(length), task));
    let mut tasks = buffers.each_mut().map(|(buffer, task)| buffer.chunks_mut(*task));
    let parts: Vec<[&mut [MaybeUninit<f32>]; N]> = (0..beside.len())
        .map(|_| tasks.each_mut().map(|parts| parts.next().expect("a part for every task")))
        .collect();
    assert!(tasks.iter().all(|parts| parts.len() == 0), "tasks cover whole buffers");

    parts.into_par_iter().zip(beside).for_each(|(parts, beside)| {
        let given = parts.each_ref().map(|part| (part.as_ptr().cast::<f32>(), part.len()));
        let written = write(parts, beside);
        let written = written.each_ref().map(|part| (part.as_ptr(), part.len()));
        assert_eq!(written, given, "a task writes all that it is given");
    });
    // SAFETY: the tasks cover the buffers, and each has shown all of its parts as plain `f32`s.
    buffers.map(|(buffer, _)| unsafe { buffer.assume_init() }.into_vec())
}

/// A new buffer, as [`build`] makes one, of pieces that the tasks need not take in their order: piece
/// `i`, of `piece` elements, is written by task `task_of(i)` beside what that task is given, the
/// pieces of a task one after another.
#[allow(unsafe_code)]
pub(crate) fn build_pieces<T: Send>(
    length: usize,
    piece: usize,
    task_of: impl Fn(usize) -> usize,
    beside: impl IndexedParallelIterator<Item = T>,
    write: impl for<'p> Fn(&mut T, usize, &'p mut [MaybeUninit<f32>]) -> &'p mut [f32] + Sync,
) -> Vec<f32> {
    let mut buffer = Box::new_uninit_slice(length);
    let mut tasks: Vec<Vec<_>> = (0..beside.len()).map(|_| Vec::new()).collect();
    for (i, part) in buffer.chunks_mut(piece).enumerate() {
        tasks[task_of(i)].push((i, part));
    }
    tasks.into_par_iter().zip(beside).for_each(|(parts, mut beside)| {
        for (i, part) in parts {
            let given = (part.as_ptr().cast::<f32>(), part.len());
            let written = write(&mut beside, i, part);
            assert_eq!((written.as_ptr(), written.len()), given, "all of a piece is written");
        }
    });
    // SAFETY: the pieces cover the buffer, each belongs to a task, and all tasks have shown all of
    // their pieces as plain `f32`s.
    unsafe { buffer.assume_init() }.into_vec()
}

/// Memory of a task, set to zero: for what is written in an order of its own, while it is in the
/// cache.
#[allow(unsafe_code)]
pub(crate) fn cleared(memory: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    for value in &mut *memory {
        value.write(0.0);
    }
    // SAFETY: every element was just written.
    unsafe { memory.assume_init_mut() }
}

/// Adds a row to every row.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn add_to_rows(rows: &mut [f32], addend: &[f32]) {
    for row in rows.chunks_exact_mut(addend.len()) {
        for (value, addend) in row.iter_mut().zip(addend) {
            *value += addend;
        }
    }
}

/// Adds every row to `sums`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
pub(crate) fn column_sums(sums: &mut [f32], rows: &[f32]) {
    for row in rows.chunks_exact(sums.len()) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

/// The sum of parts of `length` elements each, added up in their order.
pub(crate) fn sum_parts(mut parts: Vec<f32>, length: usize) -> Vec<f32> {
    let (sum, rest) = parts.split_at_mut(length);
    sum.par_chunks_mut(TASK).enumerate().for_each(|(task, sum)| {
        for part in rest.chunks_exact(length) {
            column_sums(sum, &part[task * TASK..][..sum.len()]);
        }
    });
    parts.truncate(length);
    parts.shrink_to_fit();
    parts
}

/// The last dimension of a tensor.
pub(crate) fn row_length(tensor: &FlexTensor) -> usize {
    tensor.layout().shape().last().copied().unwrap_or(1)
}

/// A contiguous tensor of these values.
pub(crate) fn new(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}
