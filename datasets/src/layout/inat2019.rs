//! iNaturalist 2019: paths in JSON lists, classes at any level of the tree of life.
//!
//! <https://github.com/visipedia/inat_comp/tree/master/2019>: `train2019.json` and `val2019.json` in the format of
//! COCO, beside them `categories.json` with the full taxonomy, which the lists themselves leave out.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Wanted, fault};
use crate::images::ImageFile;
use crate::{Dataset, DatasetError, ImageFiles, Split};

/// Which names of a species are its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// Its own, 1,010 in the full set.
    #[default]
    Species,
    /// That of its genus.
    Genus,
    /// That of its family.
    Family,
    /// That of its order.
    Order,
    /// That of its class in the tree of life.
    Class,
    /// That of its phylum.
    Phylum,
    /// That of its kingdom.
    Kingdom,
}

impl FromStr for Level {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "species" => Self::Species,
            "genus" => Self::Genus,
            "family" => Self::Family,
            "order" => Self::Order,
            "class" => Self::Class,
            "phylum" => Self::Phylum,
            "kingdom" => Self::Kingdom,
            _ => return Err("wanted species, genus, family, order, class, phylum or kingdom"),
        })
    }
}

#[derive(Deserialize)]
struct List {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: PathBuf,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
    genus: Option<String>,
    family: Option<String>,
    order: Option<String>,
    class: Option<String>,
    phylum: Option<String>,
    kingdom: Option<String>,
}

impl Category {
    fn at(&self, level: Level) -> Option<&String> {
        match level {
            Level::Species => Some(&self.name),
            Level::Genus => self.genus.as_ref(),
            Level::Family => self.family.as_ref(),
            Level::Order => self.order.as_ref(),
            Level::Class => self.class.as_ref(),
            Level::Phylum => self.phylum.as_ref(),
            Level::Kingdom => self.kingdom.as_ref(),
        }
    }
}

pub(super) fn open(folder: &Path, wanted: Wanted) -> Result<Box<dyn Dataset>, DatasetError> {
    let path = folder.join(match wanted.split {
        Split::Train => "train2019.json",
        Split::Test => "val2019.json",
    });
    let List { images, annotations, categories } = read(&path)?;
    let taxonomy = folder.join("categories.json");
    let (place, categories) = match taxonomy.is_file() {
        true => (&taxonomy, read(&taxonomy)?),
        false => (&path, categories),
    };
    let mut names = HashMap::new();
    for category in &categories {
        let name = category.at(wanted.level).ok_or_else(|| {
            let reason = "does not say its place in the tree of life, which categories.json does";
            fault(place, format!("category {}", category.id), reason)
        })?;
        names.insert(category.id, name);
    }
    // Every level has its classes in the order of their names, species in that of their numbers.
    let classes: Vec<&String> = match wanted.level {
        Level::Species => categories.iter().map(|category| &category.name).collect(),
        _ => names.values().copied().collect::<BTreeSet<_>>().into_iter().collect(),
    };
    let labels: HashMap<&String, usize> = classes.iter().copied().zip(0..).collect();
    let paths: HashMap<u64, PathBuf> =
        images.into_iter().map(|image| (image.id, image.file_name)).collect();
    let file = |Annotation { image_id, category_id }: Annotation| {
        let place = format!("annotation of image {image_id}");
        let image = paths.get(&image_id).ok_or_else(|| fault(&path, &place, "no such image"))?;
        let name = names.get(&category_id);
        let name = name.ok_or_else(|| {
            fault(&path, &place, format!("category {category_id}, of which there is none"))
        })?;
        Ok(ImageFile { path: image.clone(), label: Some(labels[*name]) })
    };
    let files = annotations.into_iter().map(file).collect::<Result<_, DatasetError>>()?;
    let classes = classes.into_iter().cloned().collect();
    Ok(Box::new(ImageFiles::new(folder, classes, files, wanted.bad_images)?))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, DatasetError> {
    let file = File::open(path).map_err(DatasetError::io("read", path))?;
    serde_json::from_reader(BufReader::new(file)).map_err(|error| fault(path, "JSON", error))
}
