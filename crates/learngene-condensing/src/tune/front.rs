//! Choices that no other beats, and all combinations of them.

/// What something costs and how wrong it is; the place in the list that it came from for each of the
/// lists that were combined.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    pub parameters: u64,
    pub error: f64,
    pub picks: Vec<usize>,
}

/// Those that nothing else beats: from the smallest to the largest, with falling errors. Of equals the
/// first stays.
pub(super) fn front<T>(mut choices: Vec<T>, of: impl Fn(&T) -> (u64, f64)) -> Vec<T> {
    choices.sort_by(|a, b| {
        let ((size, error), (other_size, other_error)) = (of(a), of(b));
        size.cmp(&other_size).then(error.total_cmp(&other_error))
    });
    let mut least = f64::INFINITY;
    choices.retain(|choice| {
        let error = of(choice).1;
        let is_better = error < least;
        least = least.min(error);
        is_better
    });
    choices
}

/// The front over all combinations of one entry of each list, given as parameters and error, which add
/// up. What a beaten part of a combination could reach, the part that beats it reaches too, so it is
/// exact to drop it at once.
pub(super) fn combined(lists: &[Vec<(u64, f64)>]) -> Vec<Choice> {
    let nothing = Choice { parameters: 0, error: 0.0, picks: Vec::new() };
    lists.iter().fold(vec![nothing], |before, list| {
        let all = before.iter().flat_map(|choice| {
            list.iter().enumerate().map(|(place, (parameters, error))| Choice {
                parameters: choice.parameters + parameters,
                error: choice.error + error,
                picks: [choice.picks.as_slice(), &[place]].concat(),
            })
        });
        front(all.collect(), |choice| (choice.parameters, choice.error))
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn beaten_choices_and_later_equals_go() {
        let choices = vec![(5, 0.25), (3, 0.5), (4, 0.5), (5, 0.25), (9, 0.0), (6, 0.75)];
        let kept = front(choices, |choice| *choice);
        assert_eq!(kept, [(3, 0.5), (5, 0.25), (9, 0.0)]);
    }

    fn lists() -> impl Strategy<Value = Vec<Vec<(u64, f64)>>> {
        // Eighths add up exactly in any order.
        let entry = (0_u64..9, (0_u32..9).prop_map(|eighths| f64::from(eighths) / 8.0));
        vec(vec(entry, 1..4), 1..5)
    }

    fn every_combination(lists: &[Vec<(u64, f64)>]) -> Vec<(u64, f64)> {
        lists.iter().fold(vec![(0, 0.0)], |before, list| {
            let joined = |(a, b): (u64, f64)| list.iter().map(move |(c, d)| (a + c, b + d));
            before.into_iter().flat_map(joined).collect()
        })
    }

    proptest! {
        /// Within any budget, the front has a combination of the least error there is.
        #[test]
        fn no_combination_beats_the_front(lists in lists(), budget in 0_u64..40) {
            let all = every_combination(&lists);
            let least = |choices: &[(u64, f64)]| {
                let fit = choices.iter().filter(|(size, _)| *size <= budget);
                fit.map(|(_, error)| *error).fold(f64::INFINITY, f64::min)
            };
            let choices = combined(&lists);
            for choice in &choices {
                let picked = lists.iter().zip(&choice.picks).map(|(list, pick)| list[*pick]);
                let sum = picked.fold((0, 0.0), |(a, b), (c, d)| (a + c, b + d));
                prop_assert_eq!(sum, (choice.parameters, choice.error));
            }
            let found: Vec<_> = choices.iter().map(|c| (c.parameters, c.error)).collect();
            prop_assert_eq!(least(&found), least(&all));
        }
    }
}
