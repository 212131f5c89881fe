//! The process-wide switch between the fused path and burn's own operations.

use std::sync::atomic::{AtomicBool, Ordering};

static FUSED: AtomicBool = AtomicBool::new(true);

/// Turns the fused path on or off for the whole process. It is on at the start.
///
/// Operations already recorded for a backward pass keep the path they were recorded on.
pub fn set_fused(on: bool) {
    FUSED.store(on, Ordering::Relaxed);
}

/// Whether operations take the fused path where they can.
///
/// Always false without the crate feature `flex`.
pub fn fused() -> bool {
    cfg!(feature = "flex") && FUSED.load(Ordering::Relaxed)
}
