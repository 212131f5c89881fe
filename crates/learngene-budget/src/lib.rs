#![doc = include_str!("../README.md")]

mod choice;
mod steps;

pub use choice::{Choice, choose, evenly, front};

#[cfg(test)]
mod tests;
