mod architecture;
mod ffn;
mod refit;

use std::cmp::Reverse;

use crate::{
    ClusterAlgorithm, Clustering, Error, LayerClusters, Manifest, NoisePolicy, Preprocessing,
    Probe, VERSION,
};

impl Manifest {
    /// Whether the fields are in range and agree with each other, apart from
    /// [`Manifest::parameters`] and [`Manifest::tensors`], which speak of the tensors.
    ///
    /// # Errors
    /// [`Error::UnsupportedVersion`], or [`Error::Inconsistent`] with the first field that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        if self.version != VERSION {
            return Err(Error::UnsupportedVersion { found: self.version.into() });
        }
        architecture::check(&self.architecture)?;
        let num_heads = self.architecture.num_heads();
        if self.classifier && self.architecture.num_classes() == 0 {
            return Err(inconsistent("classifier", true, "false where num_classes is 0"));
        }
        check_probe(&self.probe, num_heads)?;
        check_clustering(&self.clustering, num_heads.len())?;
        check_length("layers", self.layers.len(), num_heads.len())?;
        for (index, (layer, &heads)) in self.layers.iter().zip(num_heads).enumerate() {
            check_layer(index, layer, heads, &self.clustering.algorithm)?;
        }
        ffn::check(&self.ffn, &self.architecture)?;
        self.refit.as_ref().map_or(Ok(()), |refit| refit::check(refit, self))
    }
}

fn inconsistent(
    field: impl Into<String>,
    found: impl ToString,
    wanted: impl Into<String>,
) -> Error {
    Error::Inconsistent { field: field.into(), found: found.to_string(), wanted: wanted.into() }
}

fn check_length(field: &str, found: usize, wanted: usize) -> Result<(), Error> {
    if found == wanted {
        return Ok(());
    }
    Err(inconsistent(field, format!("{found} entries"), format!("{wanted}")))
}

/// Whether a radius of nothing is one.
#[derive(PartialEq)]
enum Least {
    Zero,
    Positive,
}

/// One radius in pixels for each layer.
fn check_radii(field: &str, radii: &[f64], depth: usize, least: Least) -> Result<(), Error> {
    check_length(field, radii.len(), depth)?;
    let is_radius =
        |eps: f64| eps.is_finite() && (eps > 0.0 || (eps == 0.0 && least == Least::Zero));
    match radii.iter().position(|eps| !is_radius(*eps)) {
        None => Ok(()),
        Some(layer) => {
            let wanted = match least {
                Least::Zero => "a finite distance of 0 or more, in pixels",
                Least::Positive => "a positive, finite distance in pixels",
            };
            Err(inconsistent(format!("{field}[{layer}]"), radii[layer], wanted))
        }
    }
}

fn check_probe(probe: &Probe, num_heads: &[usize]) -> Result<(), Error> {
    if probe.images == 0 {
        return Err(inconsistent("probe.images", 0, "at least 1"));
    }
    check_preprocessing(&probe.preprocessing)?;
    check_length(
        "probe.mean_attention_distance",
        probe.mean_attention_distance.len(),
        num_heads.len(),
    )?;
    check_length("probe.std", probe.std.len(), num_heads.len())?;
    for (layer, &heads) in num_heads.iter().enumerate() {
        let distances = &probe.mean_attention_distance[layer];
        let field = format!("probe.mean_attention_distance[{layer}]");
        check_length(&field, distances.len(), heads)?;
        check_pixels(&field, distances.iter().map(|&distance| Some(distance)))?;

        let field = format!("probe.std[{layer}]");
        check_length(&field, probe.std[layer].len(), heads)?;
        check_pixels(&field, probe.std[layer].iter().copied())?;
    }
    Ok(())
}

fn check_pixels(field: &str, values: impl Iterator<Item = Option<f64>>) -> Result<(), Error> {
    for (head, value) in values.enumerate() {
        if let Some(value) = value
            && !(value.is_finite() && value >= 0.0)
        {
            return Err(inconsistent(
                format!("{field}[{head}]"),
                value,
                "a finite distance of 0 or more",
            ));
        }
    }
    Ok(())
}

fn check_preprocessing(preprocessing: &Preprocessing) -> Result<(), Error> {
    let Preprocessing { image_size, crop_pct, mean, std } = preprocessing;
    if *image_size == 0 {
        return Err(inconsistent("probe.preprocessing.image_size", 0, "at least 1"));
    }
    if !(*crop_pct > 0.0 && *crop_pct <= 1.0) {
        return Err(inconsistent(
            "probe.preprocessing.crop_pct",
            crop_pct,
            "above 0 and at most 1",
        ));
    }
    for channel in 0..3 {
        if !mean[channel].is_finite() {
            let field = format!("probe.preprocessing.mean[{channel}]");
            return Err(inconsistent(field, mean[channel], "a finite number"));
        }
        if !(std[channel].is_finite() && std[channel] > 0.0) {
            let field = format!("probe.preprocessing.std[{channel}]");
            return Err(inconsistent(field, std[channel], "a positive, finite number"));
        }
    }
    Ok(())
}

fn check_clustering(clustering: &Clustering, depth: usize) -> Result<(), Error> {
    match &clustering.algorithm {
        ClusterAlgorithm::Dbscan { min_points: 0, .. } => {
            Err(inconsistent("clustering.algorithm.min_points", 0, "at least 1"))
        }
        ClusterAlgorithm::Dbscan { eps, .. } => {
            check_radii("clustering.algorithm.eps", eps, depth, Least::Positive)
        }
        ClusterAlgorithm::Kmeans { k, .. } => {
            check_length("clustering.algorithm.k", k.len(), depth)
        }
    }
}

/// Labels decide sizes and order, so both are worked out again and compared.
fn check_layer(
    index: usize,
    layer: &LayerClusters,
    heads: usize,
    algorithm: &ClusterAlgorithm,
) -> Result<(), Error> {
    let at = |field: &str| format!("layers[{index}].{field}");
    let members = count_members(index, &layer.labels, heads, algorithm)?;

    // In order of priority: largest first, ties by label.
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|&label| (Reverse(members[label]), label));

    check_length(&at("sizes"), layer.sizes.len(), order.len())?;
    check_length(&at("representatives"), layer.representatives.len(), order.len())?;
    check_length(&at("clusters"), layer.clusters.len(), order.len())?;
    for (slot, &label) in order.iter().enumerate() {
        if layer.clusters[slot] != label {
            let wanted = format!("{label}, by descending size and ascending label");
            return Err(inconsistent(
                at(&format!("clusters[{slot}]")),
                layer.clusters[slot],
                wanted,
            ));
        }
        if layer.sizes[slot] != members[label] {
            let wanted = format!("{}, the heads labelled {label}", members[label]);
            return Err(inconsistent(at(&format!("sizes[{slot}]")), layer.sizes[slot], wanted));
        }
        let head = layer.representatives[slot];
        if layer.labels.get(head) != Some(&Some(label)) {
            let wanted = format!("a head labelled {label}");
            return Err(inconsistent(at(&format!("representatives[{slot}]")), head, wanted));
        }
    }
    match algorithm {
        ClusterAlgorithm::Kmeans { k, .. } if order.len() > k[index] => {
            let wanted = format!("at most k = {}", k[index]);
            Err(inconsistent(at("clusters"), format!("{} clusters", order.len()), wanted))
        }
        _ => Ok(()),
    }
}

/// Number of heads of each label.
fn count_members(
    index: usize,
    labels: &[Option<usize>],
    heads: usize,
    algorithm: &ClusterAlgorithm,
) -> Result<Vec<usize>, Error> {
    let field = format!("layers[{index}].labels");
    check_length(&field, labels.len(), heads)?;
    let drops_noise =
        matches!(algorithm, ClusterAlgorithm::Dbscan { noise: NoisePolicy::Drop, .. });
    let mut members = Vec::new();
    for (head, label) in labels.iter().enumerate() {
        match *label {
            Some(label) if label < members.len() => members[label] += 1,
            Some(label) if label == members.len() => members.push(1),
            Some(label) => {
                let wanted = format!("at most {}, numbered by first appearance", members.len());
                return Err(inconsistent(format!("{field}[{head}]"), label, wanted));
            }
            None if drops_noise => {}
            None => {
                let wanted = "a label, since noise is not dropped";
                return Err(inconsistent(format!("{field}[{head}]"), "null", wanted));
            }
        }
    }
    if members.is_empty() {
        return Err(inconsistent(field, "no cluster", "at least one"));
    }
    Ok(members)
}
