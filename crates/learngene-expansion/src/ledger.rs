use std::collections::BTreeMap;

use learngene_shape::{Axis, Parameter};

use crate::width::{is_width, scalars_used};

/// Which scalars of a source were used, each counted once however many copies were made of it.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Scalars of each parameter, or of one head's share of it.
    used: BTreeMap<(String, Option<usize>), usize>,
}

impl Ledger {
    /// Notes that a parameter was taken for another: the shares of `heads`, by the ancestor's
    /// numbers, where it is heads that own it, else all of it.
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

#[cfg(test)]
mod tests {
    use learngene_shape::{Family, Vit};

    use super::*;

    #[test]
    fn what_is_copied_twice_counts_once() {
        // Two heads of width 2, tokens of width 4; the descendant's are of width 3.
        let of = |embed_dim, name: &str| {
            let parameters = Vit::new(embed_dim, vec![2], 2, vec![8]).parameters();
            parameters.into_iter().find(|p| p.name.ends_with(name)).expect(name)
        };
        let mut ledger = Ledger::default();
        let (from, to) = (of(4, "qkv.weight"), of(3, "qkv.weight"));
        for heads in [&[0, 0, 0][..], &[1, 0]] {
            ledger.take(&from, &to, heads);
        }
        assert_eq!(ledger.total(), 2 * 3 * 2 * 3);
        ledger.take(&of(4, "fc2.weight"), &of(3, "fc2.weight"), &[]);
        ledger.take(&of(4, "fc2.weight"), &of(3, "fc2.weight"), &[]);
        assert_eq!(ledger.total(), 2 * 3 * 2 * 3 + 8 * 3);
    }
}
