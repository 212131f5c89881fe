//! One integration binary: linked once, however many tests there are.

mod downstream;
mod elastic;
mod faults;
mod goldens;
mod identity;
mod path;
mod recipes;
mod scales;
mod support;
