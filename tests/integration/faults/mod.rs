//! Faults of the paper's published code that ours must be shown not to have, by their numbers in the
//! list of faults. Where it makes a test sharper, the published way is spelled out in it and fails.

mod heads;
mod input;
mod learngene;
mod scale;
mod training;
