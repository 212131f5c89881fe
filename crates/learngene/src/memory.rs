//! Memory of this process: kept between training steps, and counted.

/// Lets the allocator reuse the large blocks of a training step for the next one, in any thread.
///
/// glibc returns them to the system at once, and each page that is asked for again costs a fault:
/// together a fifth of a training step on a CPU. A thread reuses only blocks of its own
/// arena, so all threads share one.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub fn keep() {
    // SAFETY: mallopt only sets numbers of the allocator. No other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Other allocators keep their blocks.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep() {}

/// Gives back what is free, and has [`peak`] begin anew, where the system can.
pub fn reset_peak() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    // SAFETY: malloc_trim may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
    // Where it cannot be written, the peak is that of the whole process: no less true.
    let _reset = std::fs::write("/proc/self/clear_refs", "5");
}

/// Most memory that the process held at once since [`reset_peak`], in bytes, if the system says.
pub fn peak() -> Option<u64> {
    // `VmHWM:    123456 kB`, of this process alone; getrusage includes its parent.
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_peak_remembers_what_was_given_back() {
        reset_peak();
        let before = peak().expect("Linux says");
        drop(std::hint::black_box(vec![1_u8; 64 << 20]));
        let after = peak().expect("Linux says");
        assert!(after >= before && after > 64 << 20, "{before}, then {after}");
    }
}
