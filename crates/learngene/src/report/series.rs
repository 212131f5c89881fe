//! Runs that differ in their seed alone, taken together.

use super::data::{Method, Projection, Row};

/// Runs of one shape by one method, at several seeds.
pub struct Series<'a> {
    /// At least one; they agree in everything but seed, accuracy and command.
    pub rows: Vec<&'a Row>,
}

/// Mean and spread of one number over seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub mean: f64,
    /// Sample standard deviation (n - 1); none for one value.
    pub std: Option<f64>,
    /// Number of values.
    pub n: usize,
}

/// Another method for the same shape, trained for as long.
pub struct Comparison<'a, 's> {
    pub other: &'s Series<'a>,
    /// How far the mean final top-1 lies above the other's, in percentage points.
    pub points: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self { mean, std: (n > 1).then(|| (squares / (n - 1) as f64).sqrt()), n }
    }
}

impl<'a> Series<'a> {
    /// A row that speaks for what all rows agree in.
    pub fn row(&self) -> &'a Row {
        self.rows[0]
    }

    pub fn item(&self) -> &'a str {
        &self.row().item
    }

    pub fn method(&self) -> Method {
        self.row().method
    }

    pub fn projection(&self) -> Option<Projection> {
        self.row().projection
    }

    /// Mean top-1 with the epoch of every evaluation.
    pub fn curve(&self) -> Vec<(f64, Spread)> {
        let epochs = self.row().epochs.iter().enumerate();
        epochs.map(|(i, &epoch)| (epoch, Spread::of(self.rows.iter().map(|r| r.top1[i])))).collect()
    }

    /// Top-1 of the last evaluation.
    pub fn final_top1(&self) -> Spread {
        Spread::of(self.rows.iter().filter_map(|row| row.top1.last().copied()))
    }

    fn last_epoch(&self) -> Option<f64> {
        self.row().epochs.last().copied()
    }
}

/// Whether two rows belong to one series.
pub(super) fn is_same(row: &Row, other: &Row) -> bool {
    (&row.item, row.method, row.projection) == (&other.item, other.method, other.projection)
}

/// Takes rows together, in order of first appearance.
pub fn group(rows: &[Row]) -> Vec<Series<'_>> {
    let mut groups: Vec<Series> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|series| is_same(series.row(), row)) {
            Some(series) => series.rows.push(row),
            None => groups.push(Series { rows: vec![row] }),
        }
    }
    groups
}

/// Names of the shapes, in order of first appearance.
pub(super) fn items<'a>(series: &[Series<'a>]) -> Vec<&'a str> {
    let mut items = Vec::new();
    for item in series.iter().map(Series::item) {
        if !items.contains(&item) {
            items.push(item);
        }
    }
    items
}

/// Compares a series with that of another method for the same shape, where both trained for as
/// long.
pub fn compare_with<'a, 's>(
    series: &Series,
    method: Method,
    all: &'s [Series<'a>],
) -> Option<Comparison<'a, 's>> {
    let other = all.iter().find(|other| {
        other.item() == series.item()
            && other.method() == method
            && other.last_epoch() == series.last_epoch()
    })?;
    let points = series.final_top1().mean - other.final_top1().mean;
    (series.method() != method).then_some(Comparison { other, points })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_the_sample_standard_deviation() {
        // Deviations -2, 0, 2: the squares sum to 8, divided by n - 1 = 2.
        let spread = Spread::of([50.0, 52.0, 54.0].into_iter());
        assert_eq!(spread, Spread { mean: 52.0, std: Some(2.0), n: 3 });
    }

    #[test]
    fn one_seed_has_no_spread() {
        assert_eq!(Spread::of([50.0].into_iter()), Spread { mean: 50.0, std: None, n: 1 });
    }
}
