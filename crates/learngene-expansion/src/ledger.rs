use std::collections::BTreeMap;

use learngene_shape::{Axis, Parameter};

use crate::width::{is_width, scalars_used};

/// Which scalars of a source were used, each counted once however many copies were made of it.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Scalars of each tensor of the source, or of one head's share of it.
    used: BTreeMap<(String, Option<usize>), usize>,
}

impl Ledger {
    /// Counts a tensor that was read, `from` with the name it is stored under, for a parameter: the
    /// shares of `heads`, by the ancestor's numbers, where heads own it, otherwise all of it.
    pub(crate) fn take(&mut self, from: &Parameter, to: &Parameter, heads: &[usize]) {
        let scalars = scalars_used(from, to, is_width);
        let share = |head, scalars| ((from.name.clone(), head), scalars);
        match from.head_axis().map(|axis| &from.axes[axis]) {
            Some(Axis::Heads { layout: learngene_shape::HeadLayout { num_heads, .. }, .. })
            | Some(Axis::PerHead { num_heads }) => {
                let shares = heads.iter().map(|head| share(Some(*head), scalars / num_heads));
                self.used.extend(shares);
            }
            _ => self.used.extend([share(None, scalars)]),
        }
    }

    /// Scalars used.
    pub(crate) fn total(&self) -> u64 {
        self.used.values().map(|scalars| *scalars as u64).sum()
    }
}
