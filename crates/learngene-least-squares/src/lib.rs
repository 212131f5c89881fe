#![doc = include_str!("../README.md")]

mod cholesky;
mod linear_map;
mod moments;
mod nested;
mod product;
mod ridge;
mod rounding;
mod row_cholesky;
mod selection;

use std::{error::Error, fmt};

pub use cholesky::Cholesky;
pub use linear_map::LinearMap;
pub use moments::{Moments, Products, Sums};
pub use nested::NestedFit;
pub use ridge::{Fit, NEGLIGIBLE, Residual};
pub use rounding::{Levels, Rounded, round_by};
pub use row_cholesky::{RowCholesky, dot};
pub use selection::Selection;

/// A number that is infinite or NaN, among rows or in their sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFinite;

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number is infinite or NaN")
    }
}

impl Error for NotFinite {}

#[cfg(test)]
mod tests;
