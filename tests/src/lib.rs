//! What the integration tests share: where the repository and its fixtures lie.
//!
//! ```
//! let clusters = learngene_tests::golden("deit_base_head_clusters.json");
//! assert!(clusters.starts_with(learngene_tests::repository()));
//! ```

use std::path::{Path, PathBuf};

/// Root of the repository.
pub fn repository() -> &'static Path {
    // The manifest of this crate lies one folder below the root.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent folder")
}

/// A file or folder under `tests/golden`.
pub fn golden(name: &str) -> PathBuf {
    repository().join("tests/golden").join(name)
}
