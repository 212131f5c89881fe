use std::io;
use std::ops::Range;
use std::path::PathBuf;

use thiserror::Error;

use crate::{cluster::FfnGroupError, tune::TuneError};

/// What can go wrong between the distances of an ancestor and its clusters.
///
/// Layers, heads and images are counted from 0.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClusteringError {
    /// `eps` is negative, zero, infinite or not a number.
    #[error("eps must be a positive, finite distance in pixels, got {got}")]
    Eps {
        /// The refused radius.
        got: f64,
    },
    /// `min_points` is 0.
    #[error("min_points must be at least 1, because a head counts itself, got 0")]
    MinPoints,
    /// A parameter's list is empty.
    #[error("{parameter} needs one entry for all layers or one per layer, got an empty list")]
    EmptyList {
        /// The parameter.
        parameter: &'static str,
    },
    /// k-means is asked for no cluster at all.
    #[error("k-means needs a k of at least 1, got 0 at position {position} of the list")]
    ZeroClusters {
        /// Position in the list of cluster counts.
        position: usize,
    },
    /// A parameter's list does not fit the number of layers.
    #[error("the distances have {want} layers, but the list of {parameter} has {got} entries")]
    ListLength {
        /// The parameter.
        parameter: &'static str,
        /// Entries in the list.
        got: usize,
        /// Layers in the distances.
        want: usize,
    },
    /// k-means is asked for more clusters than a layer has heads, or different heads.
    #[error(
        "layer {layer} has {heads} heads{}, too few for k = {got}",
        if distinct == heads { String::new() } else { format!(" of {distinct} different distances") }
    )]
    TooManyClusters {
        /// The layer.
        layer: usize,
        /// Its heads.
        heads: usize,
        /// Its different mean attention distances.
        distinct: usize,
        /// The k asked for.
        got: usize,
    },
    /// k-means left some of its clusters empty.
    #[error(
        "k-means filled {got} of {want} clusters in layer {layer}; another seed or a smaller k may do"
    )]
    EmptyClusters {
        /// The layer.
        layer: usize,
        /// Clusters with at least one head.
        got: usize,
        /// Clusters asked for.
        want: usize,
    },
    /// k-means could not compare its runs.
    #[error("k-means failed in layer {layer}: {reason}")]
    KMeans {
        /// The layer.
        layer: usize,
        /// The reason the library gave.
        reason: String,
    },
    /// The parameters ask for a library this build does not contain.
    #[error(
        "k-means by the crate `kmeans` needs a build with the feature `kmeans` and a nightly compiler"
    )]
    KMeansLibraryAbsent,
    /// Every head of a layer is noise, and the noise policy keeps none of them.
    #[error(
        "all {heads} heads of layer {layer} are noise for eps {eps} and min_points {min_points}; \
         use the noise policy `singleton`, a larger eps or a smaller min_points"
    )]
    NoClusters {
        /// The layer.
        layer: usize,
        /// Its heads.
        heads: usize,
        /// The radius, in pixels.
        eps: f64,
        /// The least neighbourhood size.
        min_points: usize,
    },

    /// A difference for feed-forward networks is negative, infinite or not a number.
    #[error("ffn_eps must be a finite distance of 0 or more, in pixels, got {got}")]
    FfnEps {
        /// The refused difference.
        got: f64,
    },
    /// Layers that cannot share one feed-forward network.
    #[error(transparent)]
    FfnGroup(#[from] FfnGroupError),
    /// A setting that cannot be chosen.
    #[error(transparent)]
    Tune(#[from] TuneError),
    /// Stages that are not runs of layers, or together not all of them.
    #[error("the distances have {want} layers, but the stages are {got:?}")]
    Stages {
        /// The layers of each stage.
        got: Vec<Range<usize>>,
        /// Layers in the distances.
        want: usize,
    },
    /// Groups of a clusters file that contradict each other.
    #[error(
        "groups of feed-forward networks must be runs that together are layers 0 to {}, each with \
         one of its layers as representative, got {groups:?} with {representatives:?}",
        depth - 1
    )]
    FfnGroups {
        /// Layers of each group.
        groups: Vec<Vec<usize>>,
        /// Representative of each group.
        representatives: Vec<usize>,
        /// Layers of the ancestor, at least 1.
        depth: usize,
    },

    /// The distances hold no layer.
    #[error("the mean attention distances must hold at least one layer, got none")]
    NoLayers,
    /// A layer of the distances holds no head.
    #[error("layer {layer} of the mean attention distances must hold at least one head, got none")]
    NoHeads {
        /// The layer.
        layer: usize,
    },
    /// A distance is negative, infinite or not a number.
    #[error(
        "{quantity} of layer {layer}, head {head} must be finite and not negative, got {got} pixels"
    )]
    NotADistance {
        /// What the number is: the mean attention distance or its standard deviation.
        quantity: &'static str,
        /// The layer.
        layer: usize,
        /// The head.
        head: usize,
        /// The refused value.
        got: f64,
    },
    /// The standard deviations do not have the shape of the means.
    #[error(
        "std must have the shape of mean_attention_distance, heads per layer {want:?}, got {got:?}"
    )]
    SpreadShape {
        /// Heads per layer in `std`.
        got: Vec<usize>,
        /// Heads per layer in `mean_attention_distance`.
        want: Vec<usize>,
    },

    /// The stages' depths do not add up to the layers, or a stage has none.
    #[error("depths must add up to {want} layers, of at least 1 for each stage, got {got:?}")]
    Depths {
        /// Layers of each stage.
        got: Vec<usize>,
        /// Layers of the distances.
        want: usize,
    },
    /// The attended sides are not one for each layer, or nothing.
    #[error(
        "attended_side must have one side of at least 1 pixel for each of {want} layers, got \
         {got:?}"
    )]
    AttendedSide {
        /// The sides found, in pixels.
        got: Vec<usize>,
        /// Layers of the distances.
        want: usize,
    },

    /// A list of a clusters file contradicts its labels.
    #[error(
        "{field} of layer {layer} must be {want} to agree with the labels by first appearance, \
         got {got}"
    )]
    ContradictsLabels {
        /// The list: `labels`, `clusters` or `sizes`.
        field: &'static str,
        /// The layer.
        layer: usize,
        /// The list as found.
        got: String,
        /// The list that follows from the labels.
        want: String,
    },
    /// A representative of a clusters file is missing, or stands outside its cluster.
    #[error(
        "representatives of layer {layer} must name one member for each of the clusters \
         {clusters:?}, got {got:?}"
    )]
    ForeignRepresentative {
        /// The layer.
        layer: usize,
        /// Labels of its clusters in order of priority.
        clusters: Vec<usize>,
        /// The representatives found.
        got: Vec<usize>,
    },

    /// An image gave a distance that is no distance, so its attention was not finite.
    #[error(
        "the attention distance of layer {layer}, head {head} for image {image} must be finite and \
         not negative, got {got} pixels"
    )]
    ImageDistance {
        /// The layer.
        layer: usize,
        /// The head.
        head: usize,
        /// The image, in the order the images came.
        image: u64,
        /// The refused value.
        got: f32,
    },
    /// Statistics or a fit were asked for, but no image came.
    #[error("there must be at least one image to look at, got none")]
    NoImages,

    /// Changes of representation that are none, or not one for each layer.
    #[error(
        "changes of representation must be {want} numbers from 0 to 1, one for each layer, got \
         {got:?}"
    )]
    Change {
        /// The numbers.
        got: Vec<f64>,
        /// Layers.
        want: usize,
    },
    /// Fewer images than a measurement needs.
    #[error("the change of representations needs at least {want} images, got {got}")]
    FewImages {
        /// Images that came.
        got: u64,
        /// Images needed.
        want: u64,
    },
    /// A layer to which all images are the same, so that similarity has no meaning there.
    #[error("all images look the same to layer {layer}: show it different ones")]
    EqualImages {
        /// The layer.
        layer: usize,
    },
    /// The images could not be had.
    #[error("the probe images cannot be read")]
    Images {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The images have nearly no contrast, so attention on them says nothing.
    #[error(
        "the {images} probe images are nearly blank: the standard deviation of their normalised \
         pixels is {got:.4}, wanted at least {want}; check --mean and --std (for pixels from 0 to 1)"
    )]
    BlankImages {
        /// Number of images.
        images: u64,
        /// Standard deviation of the pixels inside a channel.
        got: f64,
        /// The least that is accepted.
        want: f64,
    },
    /// The images are others than the first time.
    #[error("the images were {want} the first time, but are {got} now; they must be the same ones")]
    ImagesChanged {
        /// Images of this pass.
        got: u64,
        /// Images of the first pass.
        want: u64,
    },

    /// The ridge is negative, infinite or not a number.
    #[error("ridge must be a finite number of 0 or more, got {got}")]
    Ridge {
        /// The refused ridge.
        got: f64,
    },
    /// A projection is asked for no head.
    #[error("target_heads must be numbers of heads of at least 1, got 0")]
    NoTargetHeads,
    /// A learngene whose projections are not the ancestor's any more.
    #[error("the learngene is refitted already; refit needs one as it was condensed")]
    AlreadyRefitted,
    /// Tokens that are infinite or no numbers.
    #[error("layer {layer} makes tokens that are not finite of the images")]
    TokensNotFinite {
        /// The layer.
        layer: usize,
    },
    /// Least squares without a solution, even with a small penalty.
    #[error("the fit of layer {layer} has no solution: its outputs are too large for numbers")]
    Unsolvable {
        /// The layer.
        layer: usize,
    },

    /// Distances, clusters and checkpoint do not belong together.
    #[error("{what} of the {source_file} is {got}, but that of the checkpoint is {want}")]
    Mismatch {
        /// The quantity compared.
        what: &'static str,
        /// Where the other value came from.
        source_file: &'static str,
        /// The value there.
        got: String,
        /// The checkpoint's value.
        want: String,
    },
    /// Clusters that were found in other distances than those given with them.
    #[error("{what} of the clusters is {clusters}, but that of the distances is {distances}")]
    OtherDistances {
        /// The quantity compared.
        what: &'static str,
        /// The value that the clusters tell.
        clusters: String,
        /// The value that the distances tell.
        distances: String,
    },
    /// A distances file that does not say how it was measured.
    #[error("the distances do not say their {field}; condense needs a file made by the probe")]
    Unmeasured {
        /// The absent field.
        field: &'static str,
    },
    /// The checkpoint lacks a tensor.
    #[error("the checkpoint has no tensor {name}")]
    MissingTensor {
        /// Its name.
        name: String,
    },
    /// The checkpoint's parameters are not those of its configuration.
    #[error(transparent)]
    Parameters(#[from] learngene_models::StateDictError),
    /// A hash that is none.
    #[error("{field} must be a SHA-256 of 64 hexadecimal digits, got `{got}`")]
    Hash {
        /// Where it stands.
        field: &'static str,
        /// What stands there.
        got: String,
    },
    /// The learngene file refused what was condensed.
    #[error(transparent)]
    Format(#[from] learngene_format::Error),
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A text is not the JSON it should be.
    #[error("not a valid {what} file")]
    Json {
        /// What was expected: `distances` or `clusters`.
        what: &'static str,
        /// The cause, with line and column.
        source: serde_json::Error,
    },
    /// A file was read, but its content is refused.
    #[error("{} is refused", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Box<ClusteringError>,
    },
}
