//! A study of how time grows, and what is fitted to it.

use serde::{Deserialize, Serialize};

/// A line of `learngene bench scaling --json`.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Study {
    framework: String,
    device: String,
    threads: usize,
    pub(super) study: String,
    pub(super) x: String,
    pub(super) points: Vec<Point>,
    pub(super) fit: Polynomial,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) ms: f64,
}

/// `ms = coefficients[0] + coefficients[1] * x + ..`
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Polynomial {
    pub(super) coefficients: Vec<f64>,
    pub(super) formula: String,
    /// The greatest share by which a time differs from the fit.
    pub(super) worst_error: f64,
}

impl Polynomial {
    pub(super) fn at(&self, x: f64) -> f64 {
        self.coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
    }
}

impl Study {
    pub(super) fn text(&self) -> String {
        let Self { study, device, x, fit, .. } = self;
        let off = 100.0 * fit.worst_error;
        format!("{study:24} {device:8} {} ms, x {x}, at most {off:.1} % off", fit.formula)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_polynomial_is_worked_out() {
        let fit = Polynomial {
            coefficients: vec![1.0, 2.0, 3.0],
            formula: String::new(),
            worst_error: 0.0,
        };
        assert_eq!(fit.at(2.0), 17.0);
    }
}
