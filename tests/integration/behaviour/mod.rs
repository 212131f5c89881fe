//! What our code must do where the paper's published code does otherwise. Where it makes a test
//! sharper, the published way is spelled out in it and fails.

mod heads;
mod input;
mod learngene;
mod scale;
mod training;
