//! iNaturalist 2019: paths in JSON lists, classes at any level of the tree of life.
//!
//! <https://github.com/visipedia/inat_comp/tree/master/2019>: `train2019.json` and `val2019.json` in the format of
//! COCO, beside them `categories.json` with the full taxonomy, which the lists themselves leave out.

use std::collections::HashMap;
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
    let (classes, labels) = classes(place, categories, wanted.level)?;
    let paths: HashMap<u64, PathBuf> =
        images.into_iter().map(|image| (image.id, image.file_name)).collect();
    let file = |Annotation { image_id, category_id }: Annotation| {
        let place = format!("annotation of image {image_id}");
        let image = paths.get(&image_id).ok_or_else(|| fault(&path, &place, "no such image"))?;
        let label = labels.get(&category_id).ok_or_else(|| {
            fault(&path, &place, format!("category {category_id}, of which there is none"))
        })?;
        Ok(ImageFile { path: image.clone(), label: Some(*label) })
    };
    let files = annotations.into_iter().map(file).collect::<Result<_, DatasetError>>()?;
    Ok(Box::new(ImageFiles::new(folder, classes, files, wanted.bad_images)?))
}

/// Names of the classes, and which of them each category is: species in the order of their numbers, those of every
/// other level in that of their names.
fn classes(
    place: &Path,
    mut categories: Vec<Category>,
    level: Level,
) -> Result<(Vec<String>, HashMap<u64, usize>), DatasetError> {
    categories.sort_by_key(|category| category.id);
    if let Some(pair) = categories.windows(2).find(|pair| pair[0].id == pair[1].id) {
        return Err(fault(place, format!("category {}", pair[0].id), "is there twice"));
    }
    let mut names = Vec::new();
    for category in &categories {
        let name = category.at(level).ok_or_else(|| {
            let reason = "does not say its place in the tree of life, which categories.json does";
            fault(place, format!("category {}", category.id), reason)
        })?;
        names.push(name);
    }
    let mut classes: Vec<String> = names.iter().map(|name| (*name).clone()).collect();
    if level == Level::Species {
        let labels = categories.iter().map(|category| category.id).zip(0..).collect();
        return Ok((classes, labels));
    }
    classes.sort();
    classes.dedup();
    let label = |name: &String| classes.partition_point(|class| class < name);
    let labels = categories.iter().zip(names).map(|(category, name)| (category.id, label(name)));
    let labels = labels.collect();
    Ok((classes, labels))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, DatasetError> {
    let file = File::open(path).map_err(DatasetError::io("read", path))?;
    serde_json::from_reader(BufReader::new(file)).map_err(|error| fault(path, "JSON", error))
}
