//! One integration binary: linked once, however many tests there are.

mod behaviour;
mod downstream;
mod elastic;
mod goldens;
mod identity;
mod path;
mod recipes;
mod scales;
mod support;
