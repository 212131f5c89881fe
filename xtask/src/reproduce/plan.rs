//! What a reproduction runs: descendants of several shapes, each initialised in three ways.

/// How a descendant is initialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    ClusterLearngene,
    FromScratch,
    PretrainingFinetuning,
}

impl Method {
    pub(crate) const ALL: [Self; 3] =
        [Self::ClusterLearngene, Self::FromScratch, Self::PretrainingFinetuning];

    /// Its name on the command line and in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClusterLearngene => "cluster-learngene",
            Self::FromScratch => "from-scratch",
            Self::PretrainingFinetuning => "pretraining-finetuning",
        }
    }
}

/// Shape of a descendant of the desk ancestor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) depth: usize,
    /// Heads of the ancestor's layers divided by the descendant's.
    pub(crate) head_ratio: &'static str,
}

impl Shape {
    pub(crate) const ALL: [Self; 3] = [
        Self { depth: 6, head_ratio: "1" },
        Self { depth: 12, head_ratio: "1" },
        Self { depth: 12, head_ratio: "2" },
    ];

    /// Its name in the report, such as `L6 w=1`.
    pub(crate) fn item(self) -> String {
        format!("L{} w={}", self.depth, self.head_ratio)
    }
}

/// Where a head's output-projection columns come from; learning rates are chosen with the first.
pub(crate) const PROJECTIONS: [&str; 3] = ["centroid", "rescaled", "origin"];

/// One descendant, before it is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descendant {
    pub(crate) shape: Shape,
    pub(crate) method: Method,
    /// Only the learngene asks where columns come from.
    pub(crate) projection: Option<&'static str>,
    pub(crate) seed: u64,
}

impl Descendant {
    /// A name for its folder, such as `l12-w2-cluster-learngene-centroid-s0`.
    pub(crate) fn slug(&self) -> String {
        let Self { shape, method, projection, seed } = self;
        let projection = projection.map(|policy| format!("-{policy}")).unwrap_or_default();
        let ratio = shape.head_ratio.replace('/', "_");
        format!("l{}-w{ratio}-{}{projection}-s{seed}", shape.depth, method.name())
    }
}

/// Every descendant that is trained, one seed after the other.
pub(crate) fn trained(seeds: u64) -> Vec<Descendant> {
    (0..seeds)
        .flat_map(|seed| Shape::ALL.into_iter().flat_map(move |s| initialised(s, seed)))
        .collect()
}

/// Every descendant whose features are measured right after its initialisation: no training, so no
/// noise and one seed.
pub(crate) fn frozen() -> Vec<Descendant> {
    trained(1)
}

/// A shape, initialised in every way.
fn initialised(shape: Shape, seed: u64) -> impl Iterator<Item = Descendant> {
    let learngene = PROJECTIONS.map(|policy| (Method::ClusterLearngene, Some(policy)));
    let others = [(Method::FromScratch, None), (Method::PretrainingFinetuning, None)];
    let all = learngene.into_iter().chain(others);
    all.map(move |(method, projection)| Descendant { shape, method, projection, seed })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_descendant_has_a_folder_of_its_own() {
        let slugs: BTreeSet<String> = trained(3).iter().map(Descendant::slug).collect();
        assert_eq!(slugs.len(), 3 * Shape::ALL.len() * (PROJECTIONS.len() + 2));
        assert!(slugs.contains("l12-w2-cluster-learngene-centroid-s2"), "{slugs:?}");
    }

    #[test]
    fn every_projection_policy_is_compared_on_every_shape() {
        let frozen = frozen();
        for shape in Shape::ALL {
            let policies: Vec<_> = frozen
                .iter()
                .filter(|d| d.shape == shape && d.method == Method::ClusterLearngene)
                .filter_map(|d| d.projection)
                .collect();
            assert_eq!(policies, PROJECTIONS);
        }
    }
}
