#![doc = include_str!("../README.md")]

mod choice;
mod steps;

pub use choice::{Choice, choose, front};

#[cfg(test)]
mod tests;
