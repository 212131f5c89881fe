#![doc = include_str!("../README.md")]

pub mod data;

mod check;
mod figure;
mod findings;
mod grid;
mod measure;
mod page;
mod read;
mod stats;
mod text;

#[cfg(test)]
mod fixture;

pub use check::{Invalid, check};
pub use findings::{Finding, Verdict, findings};
pub use page::render;
pub use read::{ReportError, read};
pub use stats::{Point, Spread};
