//! Memory kept between training steps.

/// Lets the allocator keep the large blocks of a training step for the next one.
///
/// glibc returns them to the system at once, and each page that is asked for again costs a fault:
/// together a fifth of a training step on a CPU.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub fn keep() {
    // SAFETY: mallopt only sets numbers of the allocator. No other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

/// Other allocators keep their blocks.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep() {}
