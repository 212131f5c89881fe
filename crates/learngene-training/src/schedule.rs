//! The learning rate at every step.

use crate::Recipe;

/// Linear warm-up, then a cosine down to the minimum, where the rate stays.
#[derive(Clone, Debug)]
pub(crate) struct WarmupCosine {
    warmup_steps: f64,
    /// First step and length of the cosine, in steps.
    cosine: (f64, f64),
    first: f64,
    peak: f64,
    last: f64,
}

impl WarmupCosine {
    /// The schedule of a run with that many steps in an epoch.
    pub(crate) fn new(recipe: &Recipe, steps_per_epoch: usize) -> Self {
        let steps = steps_per_epoch as f64;
        let (warmup_steps, total) = (recipe.warmup_epochs() * steps, recipe.epochs as f64 * steps);
        let begin = if recipe.cosine_after_warmup { warmup_steps } else { 0.0 };
        Self {
            warmup_steps,
            cosine: (begin, (total - begin).max(1.0)),
            first: recipe.warmup_learning_rate,
            peak: recipe.peak_learning_rate(),
            last: recipe.min_learning_rate.min(recipe.peak_learning_rate()),
        }
    }

    /// The highest rate of a run of that many steps, if all of them are warm-up.
    pub(crate) fn unfinished_warmup(&self, steps: usize) -> Option<f64> {
        let last = steps.saturating_sub(1);
        ((last as f64) < self.warmup_steps).then(|| self.at(last))
    }

    /// Learning rate of a step, counted from zero.
    pub(crate) fn at(&self, step: usize) -> f64 {
        let step = step as f64;
        if step < self.warmup_steps {
            return self.first + (self.peak - self.first) * step / self.warmup_steps;
        }
        let (begin, length) = self.cosine;
        let progress = ((step - begin) / length).min(1.0);
        self.last + 0.5 * (self.peak - self.last) * (1.0 + (std::f64::consts::PI * progress).cos())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    fn recipe() -> Recipe {
        Recipe { epochs: 10, batch_size: 512, warmup_epochs: Some(2.0), ..Recipe::default() }
    }

    fn schedule() -> WarmupCosine {
        WarmupCosine::new(&recipe(), 10)
    }

    #[test]
    fn a_warmup_is_unfinished_where_no_step_follows_it() {
        let schedule = schedule();
        assert_eq!(schedule.unfinished_warmup(20), Some(schedule.at(19)));
        assert_eq!(schedule.unfinished_warmup(21), None);
        let without = Recipe { warmup_epochs: Some(0.0), ..recipe() };
        assert_eq!(WarmupCosine::new(&without, 1).unfinished_warmup(1), None);
    }

    /// Unlike burn's cosine, which rises again past its end.
    #[test]
    fn the_rate_stays_down_after_the_last_step() {
        assert_eq!(schedule().at(100), schedule().at(10_000));
    }

    /// The rate of every step, by timm; see `fixtures/make_timm.py`.
    #[derive(Deserialize)]
    struct Timm {
        after_warmup: Vec<f64>,
        beneath_warmup: Vec<f64>,
    }

    fn check_timm(cosine_after_warmup: bool, timm: impl Fn(Timm) -> Vec<f64>) {
        let fixture = include_str!("../fixtures/schedule.json");
        let rates = timm(serde_json::from_str(fixture).expect("the fixture is good"));
        let recipe = Recipe { cosine_after_warmup, ..recipe() };
        let schedule = WarmupCosine::new(&recipe, 7);
        assert_eq!(rates.len(), 70);
        for (step, rate) in rates.into_iter().enumerate() {
            let got = schedule.at(step);
            assert!((got - rate).abs() < 1e-6 * rate, "step {step}: {got}, expected {rate}");
        }
    }

    #[test]
    fn every_rate_is_that_of_timm() {
        check_timm(true, |timm| timm.after_warmup);
        check_timm(false, |timm| timm.beneath_warmup);
    }
}
