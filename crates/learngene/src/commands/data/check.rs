//! `learngene data check`

use clap::builder::{PossibleValuesParser, TypedValueParser};
use learngene_datasets::{
    CheckReport, CheckedSplit, KNOWN_DATASETS, KnownDataset, Scrutiny, check, known_dataset,
};

use crate::{
    args::{dataset, whole_number},
    progress,
    text::{count, thousands},
};

/// Counts the images of a dataset, decodes each, and compares all with what is known of it.
///
/// Ends with 1 where images cannot be decoded, numbers differ from the manifest's, classes have no
/// images, or files have another checksum than the published one.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  learngene data check cifar10\n  \
    learngene data check /data/imagenet --as imagenet --count-only")]
pub struct Args {
    /// The name of a dataset or a folder.
    #[arg(value_name = "NAME|FOLDER", value_parser = dataset)]
    data: String,
    /// Dataset that the folder should hold; by default what its files tell, which several datasets
    /// with the same layout cannot (imagenet, mnist, fashion_mnist).
    #[arg(long = "as", value_name = "NAME", value_parser = known())]
    manifest: Option<&'static KnownDataset>,
    /// Only counts, decodes nothing and computes no checksums.
    #[arg(long)]
    count_only: bool,
    /// Differences to show.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = whole_number::<usize>,
        conflicts_with = "json")]
    show: usize,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

fn known() -> impl TypedValueParser<Value = &'static KnownDataset> {
    let names = KNOWN_DATASETS.map(|known| known.name);
    PossibleValuesParser::new(names).try_map(|name| known_dataset(&name).ok_or("it is not known"))
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let scrutiny = if args.count_only { Scrutiny::Count } else { Scrutiny::Decode };
    let bar = progress::bar(0, "images").with_message("decoding");
    let report = check(&args.data, args.manifest, scrutiny, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    super::super::print(args.json, &report, |report| describe(report, args.show))?;
    if report.difference_count > 0 {
        let differences = count(report.difference_count, "difference", "differences");
        let no = format!("{} is not as it should be: {differences}", args.data);
        return Err(super::super::No(no).into());
    }
    Ok(())
}

fn describe(report: &CheckReport, show: usize) -> String {
    let mut lines: Vec<String> = report.splits.iter().map(describe_split).collect();
    lines.push(match report.manifest {
        Some(name) => format!("compared with the manifest of {name}"),
        None => "compared with no manifest: --as NAME chooses one".into(),
    });
    if !report.verified_files.is_empty() {
        let files = count(report.verified_files.len(), "file has", "files have");
        lines.push(format!("{files} the published checksum"));
    }
    lines.extend(report.differences.iter().take(show).map(|line| format!("differs: {line}")));
    match report.difference_count.saturating_sub(show.min(report.differences.len())) {
        0 => {}
        more => lines.push(format!("and {} more", count(more, "difference", "differences"))),
    }
    lines.join("\n")
}

/// `train  50,000 images (50,000 wanted), 10 classes (10 wanted), 50,000 decoded`.
fn describe_split(split: &CheckedSplit) -> String {
    let name = split.split.map_or_else(|| "all".to_owned(), |split| split.to_string());
    let of = |found: String, wanted: Option<usize>| {
        let wanted = wanted.map(|wanted| format!(" ({} wanted)", thousands(wanted as u64)));
        format!("{found}{}", wanted.unwrap_or_default())
    };
    let images = of(count(split.images, "image", "images"), split.wanted_images);
    let classes = of(count(split.classes, "class", "classes"), split.wanted_classes);
    let decoded = split.decoded.map(|decoded| format!(", {} decoded", thousands(decoded as u64)));
    format!("{name:6} {images}, {classes}{}", decoded.unwrap_or_default())
}
