//! How each dialect names the parameters of each family, in both directions from one table.

mod pattern;
mod tables;

use std::{collections::BTreeMap, ops::Range};

use learngene_shape::{Family, Head, HeadLayout, Projection, Shape, Swin};
use learngene_tensors::{Error, Result};

use self::{
    pattern::{capture, fill, starts},
    tables::{INDEX, LAYERS, MASK, OTHERS, Row, SPELLINGS, Spelling},
};
use crate::Dialect;

/// Most stages that a model may have, far above any published one: widths double from each to the
/// next, and must stay numbers.
const MAX_STAGES: usize = 16;

/// Names that an error shows of a file that is not recognised.
const SHOWN: usize = 5;

/// Spelling of the names in one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    spelling: &'static Spelling,
    /// Whether names carry the dialect's prefix.
    is_prefixed: bool,
}

/// A tensor of a file that holds some rows (of the first axis) of a parameter.
#[derive(Debug, PartialEq)]
pub(crate) struct Part {
    pub name: String,
    pub rows: Range<usize>,
}

impl Names {
    /// The spelling in which a model is written.
    ///
    /// # Errors
    /// A dialect that has no names for the family.
    pub fn written(dialect: Dialect, shape: &Shape) -> Result<Self> {
        // transformers saves a ViTForImageClassification with the prefix, a ViTModel without.
        let is_prefixed = shape.num_classes() > 0;
        let is_of =
            |spelling: &&Spelling| spelling.dialect == dialect && spelling.family == shape.family();
        let spelling = SPELLINGS.iter().find(is_of);
        spelling.map(|spelling| Self { spelling, is_prefixed }).ok_or_else(|| {
            let others = "; write other models in timm's names";
            let (place, hint) = match dialect {
                Dialect::Timm => ("timm's names", ""),
                Dialect::Official => ("official names", others),
                Dialect::HuggingFace => ("Hugging Face's names", others),
            };
            let of_dialect = SPELLINGS.iter().filter(|spelling| spelling.dialect == dialect);
            let families: Vec<_> = of_dialect.map(|of| format!("a {}", of.family)).collect();
            let expected = format!("{}{hint}", families.join(" or "));
            Error::invalid(place, format!("a {}", shape.family()), expected)
        })
    }

    /// Recognises the spelling by the names alone.
    ///
    /// # Errors
    /// Names of another kind of model.
    pub fn recognise<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Result<Self> {
        for (part, kind) in OTHERS {
            if let Some(name) = names.clone().find(|name| name.contains(part)) {
                let found = format!("a {kind} (it has `{name}`)");
                return Err(Error::invalid("model", found, "a ViT, DeiT or Swin"));
            }
        }
        let has = |sign: &str| names.clone().any(|name| starts(sign, name));
        for spelling in &SPELLINGS {
            let bare = |sign: &str| sign.strip_prefix(spelling.prefix).is_some_and(has);
            let is_shown = |signs: &&[&str]| signs.iter().any(|sign| has(sign) || bare(sign));
            if spelling.signs.iter().all(is_shown) {
                let is_prefixed = has(spelling.prefix);
                return Ok(Self { spelling, is_prefixed });
            }
        }
        let found = names.take(SHOWN).collect::<Vec<_>>().join(", ");
        let expected =
            "names that timm, Swin's repository or Hugging Face give a vision transformer";
        Err(Error::invalid("tensors", format!("[{found}]"), expected))
    }

    /// Whose names they are.
    pub fn dialect(self) -> Dialect {
        self.spelling.dialect
    }

    /// The family of the model, as its shape calls it.
    pub fn family(self) -> &'static str {
        self.spelling.family
    }

    /// A name of the table as this file spells it.
    fn spelled(self, name: &'static str) -> &'static str {
        if self.is_prefixed {
            name
        } else {
            name.strip_prefix(self.spelling.prefix).unwrap_or(name)
        }
    }

    /// timm's name of the parameter that a tensor of the file holds, or a third of.
    pub fn timm(self, stored: &str) -> Option<String> {
        let of_row = |row: &Row| {
            let (numbers, leaf) = capture(self.spelled(row.stored), stored)?;
            is_leaf(leaf).then(|| format!("{}{leaf}", fill(row.timm, &numbers)))
        };
        let found = self.spelling.rows.iter().find_map(of_row);
        found.or_else(|| self.spelling.others_are_timm.then(|| stored.into()))
    }

    /// The names under which the file holds a parameter of timm's name, each with the third that it
    /// holds where it does not hold all.
    fn stored_thirds(self, timm: &str) -> Vec<(String, Option<Projection>)> {
        let of_row = |row: &Row| {
            let (numbers, leaf) = capture(row.timm, timm)?;
            let stored = || format!("{}{leaf}", fill(self.spelled(row.stored), &numbers));
            is_leaf(leaf).then(|| (stored(), row.third))
        };
        let found: Vec<_> = self.spelling.rows.iter().filter_map(of_row).collect();
        if found.is_empty() { vec![(timm.into(), None)] } else { found }
    }

    /// The names under which the file holds a parameter of timm's name: one, or those of query, key
    /// and value where timm fuses them.
    pub fn stored(self, timm: &str) -> impl Iterator<Item = String> {
        self.stored_thirds(timm).into_iter().map(|(name, _)| name)
    }

    /// Which of a parameter's rows each tensor of the file holds, in the order of the rows.
    pub fn parts(self, timm: &str, num_rows: usize) -> Vec<Part> {
        // All heads of a projection lie side by side, as one head of their width would.
        let all = HeadLayout { num_heads: 1, head_dim: num_rows / Projection::ALL.len() };
        let part = |(name, third): (String, Option<Projection>)| {
            let rows = third.map_or(0..num_rows, |projection| all.rows(projection, Head(0)));
            Part { name, rows }
        };
        self.stored_thirds(timm).into_iter().map(part).collect()
    }

    /// Names and shapes that the file of a model has.
    pub fn stored_shapes(self, shape: &Shape) -> BTreeMap<String, Vec<usize>> {
        let mut stored = BTreeMap::new();
        for (timm, shape) in shape.parameter_shapes() {
            for part in self.parts(&timm, shape[0]) {
                let mut shape = shape.clone();
                shape[0] = part.rows.len();
                stored.insert(part.name, shape);
            }
        }
        stored
    }

    /// Layers of each stage of a file with so many tensors: one more than the highest number in its
    /// names, so that the names of lost layers are reported, unless a number is beyond what such a
    /// file can have; at least one.
    pub fn depths<'a>(self, stored: impl ExactSizeIterator<Item = &'a str>) -> Vec<usize> {
        let most_layers = stored.len();
        let mut depths = vec![1];
        for timm in stored.filter_map(|name| self.timm(name)) {
            let place = LAYERS.iter().find_map(|layer| capture(layer, &timm));
            let (stage, block) = match place.as_ref().map(|(numbers, _)| &numbers[..]) {
                Some([stage, block]) => (*stage, *block),
                Some([stage]) if timm.starts_with("layers.") => (*stage, 0),
                Some([block]) => (0, *block),
                _ => continue,
            };
            let layers = block.saturating_add(1);
            if stage < MAX_STAGES && layers <= most_layers {
                depths.resize(depths.len().max(stage + 1), 1);
                depths[stage] = depths[stage].max(layers);
            }
        }
        depths
    }

    /// Whether image classification has no use for a tensor of the file.
    pub fn is_left_out(self, stored: &str) -> bool {
        let prefix = self.spelling.prefix;
        let is_start = |start: &&str| {
            stored.starts_with(start)
                || start.strip_prefix(prefix).is_some_and(|bare| stored.starts_with(bare))
        };
        self.spelling.left_out.iter().any(is_start)
    }

    /// Whether a name is that of a buffer, which follows from the shape of a model.
    pub fn is_buffer(self, stored: &str) -> bool {
        self.family() == Swin::KEY && (stored.ends_with(INDEX) || stored.ends_with(MASK))
    }

    /// The stage whose mask of shifted windows a name is, in timm's and the official names.
    pub fn stage_of_mask(self, stored: &str) -> Option<usize> {
        let (numbers, _) = capture(LAYERS[0], stored.strip_suffix(&MASK[1..])?)?;
        numbers.first().copied()
    }
}

/// Whether what follows a row in a name is the end of it: a parameter of the module, or nothing.
fn is_leaf(rest: &str) -> bool {
    ["", ".weight", ".bias"].contains(&rest)
}

#[cfg(test)]
mod tests;
