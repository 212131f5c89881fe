//! Checkpoints of other libraries.
