//! Cells of an experiment by row and column.

use std::ops::RangeInclusive;

use crate::data::{Ancestor, Cell, Experiment, Measure, Measured, Outcome, Report};

impl Cell {
    /// Its value, where it was run.
    pub fn measured(&self) -> Option<&Measured> {
        match &self.outcome {
            Outcome::Run(measured) => Some(measured),
            Outcome::NotRun { .. } => None,
        }
    }

    /// Optimiser steps of its first run, where it was trained.
    pub(crate) fn steps(&self) -> Option<u64> {
        Some(self.measured()?.runs.first()?.evaluations.last()?.step)
    }

    /// Why it was not run, where it was not.
    pub fn reason(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Run(_) => None,
            Outcome::NotRun { reason } => Some(reason),
        }
    }
}

impl Experiment {
    /// Names of the rows, in order of first appearance.
    pub(crate) fn rows(&self) -> Vec<&str> {
        unique(self.cells.iter().map(|cell| cell.row.as_str()))
    }

    /// Names of the columns, in order of first appearance.
    pub(crate) fn columns(&self) -> Vec<&str> {
        unique(self.cells.iter().map(|cell| cell.column.as_str()))
    }

    /// Columns as a table has them: one for each name and measure.
    pub(crate) fn measured_columns(&self) -> Vec<(&str, Measure)> {
        unique(self.cells.iter().map(|cell| (cell.column.as_str(), cell.measure)))
    }

    /// What is counted, in order of first appearance.
    pub(crate) fn measures(&self) -> Vec<Measure> {
        unique(self.cells.iter().map(|cell| cell.measure))
    }

    /// Least and most optimiser steps of its cells, where any was trained.
    pub(crate) fn steps(&self) -> Option<RangeInclusive<u64>> {
        let steps = || self.cells.iter().filter_map(Cell::steps);
        Some(steps().min()?..=steps().max()?)
    }

    /// One cell.
    pub(crate) fn cell(&self, row: &str, column: &str, measure: Measure) -> Option<&Cell> {
        let wanted = (row, column, measure);
        self.cells.iter().find(|cell| (&*cell.row, &*cell.column, cell.measure) == wanted)
    }

    /// Cells that were run, with their values.
    pub(crate) fn run_cells(&self) -> impl Iterator<Item = (&Cell, &Measured)> {
        self.cells.iter().filter_map(|cell| Some((cell, cell.measured()?)))
    }

    /// Its name in headings: `Table 5. Order of centroids`.
    pub(crate) fn heading(&self) -> String {
        match &self.item {
            Some(item) => format!("{item}. {}", self.title),
            None => self.title.clone(),
        }
    }

    /// Its short name in sentences: `Table 5`, or the title for what goes beyond the paper.
    pub(crate) fn short_name(&self) -> &str {
        self.item.as_deref().unwrap_or(&self.title)
    }
}

impl Report {
    /// The ancestor that a cell calls by its id.
    pub(crate) fn ancestor(&self, id: &str) -> Option<&Ancestor> {
        self.ancestors.iter().find(|ancestor| ancestor.id == id)
    }
}

/// Things in order of their first appearance.
pub(crate) fn unique<T: PartialEq>(things: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for thing in things {
        if !seen.contains(&thing) {
            seen.push(thing);
        }
    }
    seen
}
