//! The learning rate of a run, found by short ones.

use std::{path::Path, sync::Arc};

use learngene_models::Classifier;

use crate::{Evaluation, Execution, FitData, Observer, Recipe, error::Result, fit::fit};

/// Peak learning rates that may be tried.
const RATES: [f64; 7] = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2];

/// The one that is tried first.
const FIRST: usize = 3;

/// A peak learning rate, and what a short run with it came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TriedRate {
    /// The peak of the schedule.
    pub learning_rate: f64,
    /// On the images that were held out.
    pub evaluation: Evaluation,
}

/// Finds a learning rate: one of 3e-4 is tried, then the next larger or smaller ones from 1e-5 to 1e-2, as
/// long as the loss on `data.test`, which should be held out of the training images, falls. Gives every
/// rate that was tried, the best one first.
///
/// Each runs by the recipe in a folder of its own in `folder`, so a search that was interrupted goes on.
///
/// # Errors
/// Those of [`fit`].
pub fn find_rate<C: Classifier + Clone + 'static>(
    model: &C,
    data: &FitData,
    recipe: &Recipe,
    folder: &Path,
    execution: &Execution,
    observer: impl Fn(f64) -> Arc<dyn Observer>,
) -> Result<Vec<TriedRate>> {
    let run = |learning_rate: f64| -> Result<TriedRate> {
        let recipe = recipe.at_peak(learning_rate);
        let folder = folder.join(format!("{learning_rate:e}"));
        let fitted =
            fit(model.clone(), data, &recipe, &folder, execution, observer(learning_rate))?;
        let last = fitted.metrics.last().expect("a run ends with an evaluation");
        Ok(TriedRate { learning_rate, evaluation: last.test })
    };
    climb(run)
}

/// Goes up, or else down, from the first rate while the loss falls.
fn climb(mut run: impl FnMut(f64) -> Result<TriedRate>) -> Result<Vec<TriedRate>> {
    let first = run(RATES[FIRST])?;
    let mut tried = vec![first];
    let (smaller, larger) = (RATES[..FIRST].iter().rev(), RATES[FIRST + 1..].iter());
    for rates in [larger.collect::<Vec<_>>(), smaller.collect()] {
        let mut best = first.evaluation.loss;
        for rate in rates {
            let next = run(*rate)?;
            tried.push(next);
            if next.evaluation.loss >= best {
                break;
            }
            best = next.evaluation.loss;
        }
        if best < first.evaluation.loss {
            break;
        }
    }
    tried.sort_by(|one, other| one.evaluation.loss.total_cmp(&other.evaluation.loss));
    Ok(tried)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates tried where the loss is least at `best`.
    fn tried(best: f64) -> Vec<f64> {
        let run = |learning_rate: f64| {
            let loss = (learning_rate / best).ln().abs();
            let evaluation = Evaluation { top1: 0.0, top5: 0.0, loss, images: 1 };
            Ok(TriedRate { learning_rate, evaluation })
        };
        let tried = climb(run).expect("nothing fails");
        tried.into_iter().map(|tried| tried.learning_rate).collect()
    }

    #[test]
    fn the_search_goes_where_the_loss_falls_and_stops_behind_the_least() {
        assert_eq!(tried(3e-4), [3e-4, 1e-4, 1e-3]);
        assert_eq!(tried(1e-3), [1e-3, 3e-3, 3e-4]);
        assert_eq!(tried(2.5e-5), [3e-5, 1e-5, 1e-4, 3e-4, 1e-3]);
        assert_eq!(tried(1.0), [1e-2, 3e-3, 1e-3, 3e-4]);
    }
}
