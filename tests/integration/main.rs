//! One integration binary: linked once, however many tests there are.

mod downstream;
