//! What is being run, and how long the rest may take.

use std::time::Instant;

/// Counts runs, in seconds of two idle cores.
pub(crate) struct Progress {
    started: Instant,
    total: usize,
    begun: usize,
    /// Seconds that all were estimated at, and those that ended.
    estimated: f64,
    ended: f64,
    running: f64,
}

impl Progress {
    /// Begins, with an estimate in seconds for each run.
    pub(crate) fn new(estimates: &[f64]) -> Self {
        Self {
            started: Instant::now(),
            total: estimates.len(),
            begun: 0,
            estimated: estimates.iter().sum(),
            ended: 0.0,
            running: 0.0,
        }
    }

    /// Says which run begins.
    pub(crate) fn next(&mut self, what: &str, seconds: f64) {
        self.begun += 1;
        self.ended += std::mem::replace(&mut self.running, seconds);
        let elapsed = self.started.elapsed().as_secs_f64();
        let left = time(left(self.estimated, self.ended, elapsed));
        eprintln!("[{:3}/{}] {what}, {left} left", self.begun, self.total);
    }
}

/// Seconds left, at the speed of what has ended.
fn left(estimated: f64, ended: f64, elapsed: f64) -> f64 {
    // The first runs tell little of the speed.
    let slower = if ended > 20.0 { elapsed / ended } else { 1.0 };
    (estimated - ended).max(0.0) * slower
}

/// A time in words.
pub(crate) fn time(seconds: f64) -> String {
    match seconds {
        // The sum of nothing is -0.
        seconds if seconds < 90.0 => format!("{:.0} s", seconds.abs()),
        seconds => format!("{:.0} min", seconds / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_goes_at_the_speed_of_what_ended() {
        assert_eq!(left(100.0, 40.0, 80.0), 120.0);
        assert_eq!(left(100.0, 10.0, 80.0), 90.0, "too early to tell");
        assert_eq!(left(100.0, 101.0, 80.0), 0.0);
    }

    #[test]
    fn times_are_in_seconds_or_minutes() {
        assert_eq!(time(89.0), "89 s");
        assert_eq!(time(600.0), "10 min");
    }
}
