//! Whether the fields of a manifest are in range and agree with each other.

use std::fmt::Display;

use learngene_tensors::{Error, Result};

use crate::{FfnGroup, Manifest, VERSION, json};

impl Manifest {
    /// Checks that the fields are in range and agree with each other, apart from
    /// [`Manifest::parameters`] and [`Manifest::tensors`], which speak of the tensors.
    ///
    /// # Errors
    /// Another version; else the first field that is wrong.
    pub fn check(&self) -> Result<()> {
        if self.version != VERSION {
            return Err(Error::invalid("format version", self.version, VERSION));
        }
        self.distances.check()?;
        self.clusters.check()?;
        self.check_ancestor()?;
        self.clusters.ffn.groups.iter().try_for_each(|group| self.check_group(group))?;
        self.refit.as_ref().map_or(Ok(()), |refit| refit.check(&self.clusters))
    }

    /// Distances and clusters are those of the ancestor, and of the same images.
    fn check_ancestor(&self) -> Result<()> {
        let Self { ancestor, distances, clusters, .. } = self;
        let parameters = ancestor.shape.count_parameters();
        same("parameters of the ancestor", &ancestor.parameters, &parameters)?;
        let (classes, is_kept) = (ancestor.shape.num_classes(), self.classifier);
        ensure(classes > 0 || !is_kept, "classifier", is_kept, "false for no classes")?;
        same("ancestor of the distances", &distances.ancestor_sha256, &ancestor.sha256)?;
        same("ancestor of the clusters", &clusters.ancestor_sha256, &ancestor.sha256)?;
        same("images of the clusters", &clusters.images_sha256, &distances.images_sha256)?;
        let depths: Vec<usize> = ancestor.shape.stages().iter().map(|stage| stage.len()).collect();
        same("layers of each stage", &json::text(&distances.depths), &json::text(&depths))?;
        let wanted = json::text(&ancestor.shape.num_heads());
        same("heads of the distances", &json::text(&distances.num_heads()), &wanted)?;
        same("heads of the clusters", &json::text(&clusters.heads.num_heads()), &wanted)
    }

    /// Layers that share an FFN have tokens and hidden units of one width.
    fn check_group(&self, group: &FfnGroup) -> Result<()> {
        let sizes = |layer: usize| {
            let layer = self.ancestor.shape.layer(layer);
            format!("stage {}, {} hidden units", layer.stage, layer.ffn.hidden_dim)
        };
        let wanted = sizes(group.representative);
        let expected = format!("{wanted}, as in layer {}, for a shared FFN", group.representative);
        group.layers.iter().try_for_each(|layer| {
            let found = sizes(*layer);
            ensure(found == wanted, format!("layer {layer}"), found, &expected)
        })
    }
}

/// Refuses what is not so.
pub(crate) fn ensure(
    is_so: bool,
    place: impl Into<String>,
    found: impl Display,
    expected: impl Display,
) -> Result<()> {
    if is_so { Ok(()) } else { Err(Error::invalid(place, found, expected)) }
}

/// Refuses a value that is not the one that other fields tell.
pub(crate) fn same<T: PartialEq + Display>(place: &str, found: &T, expected: &T) -> Result<()> {
    ensure(found == expected, place, found, expected)
}

/// Refuses a list of another length.
pub(crate) fn check_length(place: &str, found: usize, expected: usize) -> Result<()> {
    ensure(found == expected, place, format!("{found} entries"), expected)
}

/// Refuses a list in which one number is not as it should be.
pub(crate) fn check_each(
    place: &str,
    values: impl IntoIterator<Item = f64>,
    is_good: impl Fn(f64) -> bool,
    expected: &str,
) -> Result<()> {
    match values.into_iter().enumerate().find(|(_, value)| !is_good(*value)) {
        None => Ok(()),
        Some((index, value)) => Err(Error::invalid(format!("{place}[{index}]"), value, expected)),
    }
}

/// A distance in pixels, an error or another size that may be nothing.
pub(crate) fn is_size(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

/// What [`is_size`] accepts, in words.
pub(crate) const SIZE: &str = "a finite number of 0 or more";
