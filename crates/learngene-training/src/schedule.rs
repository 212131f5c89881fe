//! The learning rate at every step.

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};

use crate::Recipe;

/// Linear warm-up, then a cosine down to the least rate, where it stays.
#[derive(Clone, Debug)]
pub struct WarmupCosine {
    warmup_steps: f64,
    total_steps: f64,
    first: f64,
    peak: f64,
    last: f64,
    next_step: usize,
}

impl WarmupCosine {
    /// The schedule of a run of that many optimiser steps in an epoch.
    pub fn new(recipe: &Recipe, steps_per_epoch: usize) -> Self {
        let steps = steps_per_epoch as f64;
        Self {
            warmup_steps: recipe.warmup_epochs() * steps,
            total_steps: recipe.epochs as f64 * steps,
            first: recipe.warmup_learning_rate,
            peak: recipe.peak_learning_rate(),
            last: recipe.min_learning_rate.min(recipe.peak_learning_rate()),
            next_step: 0,
        }
    }

    /// Learning rate of a step, counted from zero.
    pub fn at(&self, step: usize) -> f64 {
        let step = step as f64;
        if step < self.warmup_steps {
            return self.first + (self.peak - self.first) * step / self.warmup_steps;
        }
        let decay_steps = (self.total_steps - self.warmup_steps).max(1.0);
        let progress = ((step - self.warmup_steps) / decay_steps).min(1.0);
        self.last + 0.5 * (self.peak - self.last) * (1.0 + (std::f64::consts::PI * progress).cos())
    }
}

impl LrScheduler for WarmupCosine {
    fn step(&mut self) -> f64 {
        let rate = self.at(self.next_step);
        self.next_step += 1;
        rate
    }

    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new().with_scalar("next_step", self.next_step as u64)
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        if let Some(step) = record.scalar::<u64>("next_step") {
            self.next_step = step as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> WarmupCosine {
        let recipe =
            Recipe { epochs: 10, batch_size: 512, warmup_epochs: Some(2.0), ..Recipe::default() };
        WarmupCosine::new(&recipe, 10)
    }

    #[test]
    fn the_rate_rises_in_a_line_and_falls_in_a_cosine() {
        let schedule = schedule();
        let cases = [
            (0, 1e-6),
            (10, 0.5 * (1e-6 + 5e-4)),
            (20, 5e-4),
            (60, 0.5 * (5e-4 + 1e-5)),
            (100, 1e-5),
        ];
        for (step, rate) in cases {
            assert!(
                (schedule.at(step) - rate).abs() < 1e-12,
                "step {step}: {} against {rate}",
                schedule.at(step)
            );
        }
    }

    /// burn's cosine rises again past its end; this one must not.
    #[test]
    fn the_rate_stays_down_after_the_last_step() {
        assert_eq!(schedule().at(100), schedule().at(10_000));
    }

    #[test]
    fn a_record_carries_the_step() {
        let mut run = schedule();
        for _ in 0..37 {
            run.step();
        }
        let mut resumed = schedule();
        resumed.load_record(run.to_record());
        assert_eq!(resumed.step(), run.step());
    }
}
