//! From what a run is told to the commands that it takes: probe, condense, expand, measure, train.

use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail};
use learngene_report::data::{Measure, Scale};

use super::{
    ancestors::Ancestor,
    experiment::Cell,
    inputs::Inputs,
    rates::LearningRates,
    recipe::Length,
    setting::Setting,
    step::{Makes, Step, Word},
};

/// Layers of the ancestors that are measured at the desk, for estimates of time alone.
const DEPTH: f64 = 12.0;

/// What steps are made of.
pub(crate) struct Pipeline<'a> {
    pub(crate) inputs: &'a Inputs,
    pub(crate) ancestors: &'a [Ancestor],
    pub(crate) rates: &'a LearningRates,
    pub(crate) scale: Scale,
}

/// The steps of one run of a cell.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// What prints the cell's value.
    pub(crate) value: Rc<Step>,
    /// What measures features before a training, where that is asked for.
    pub(crate) features: Option<Rc<Step>>,
    pub(crate) descendant: Option<Descendant>,
    /// The dataset and what of it is counted, where the cell is a count.
    pub(crate) counted: Option<(String, String)>,
}

/// The steps that tell what a model is.
#[derive(Debug)]
pub(crate) struct Descendant {
    pub(crate) ancestor: String,
    pub(crate) expand: Rc<Step>,
    /// What shows its learngene, where it has one.
    pub(crate) manifest: Option<Rc<Step>>,
}

impl Pipeline<'_> {
    /// The steps of a cell's run.
    ///
    /// # Errors
    /// The reason why it cannot be run at this scale, here.
    pub(crate) fn plan(&self, cell: &Cell, seed: u64) -> Result<Plan> {
        let setting = cell.setting(self.scale);
        if let Some(reason) = &setting.not_run {
            bail!(reason.clone());
        }
        let alone = |value| Plan { seed, value, features: None, descendant: None, counted: None };
        if cell.measure == Measure::Count {
            let value = Rc::new(Step::new("list", Makes::Nothing).text("datasets"));
            let counted = setting.data.clone().zip(setting.count.clone());
            return Ok(Plan { counted, ..alone(value) });
        }
        let ancestor = self.ancestor(setting)?;
        if let Some(image) = &setting.maps {
            let value = self.attention(ancestor, setting, image, seed)?;
            return Ok(alone(Rc::new(value)));
        }
        if cell.measure == Measure::Heads || cell.measure == Measure::FeatureError {
            return Ok(alone(inspect(&self.gene(ancestor, setting, seed)?)));
        }
        let expand = self.descendant(ancestor, setting, seed)?;
        let manifest = match setting.method() {
            "cluster-learngene" => Some(inspect(&self.gene(ancestor, setting, seed)?)),
            _ => None,
        };
        let features = || self.features(ancestor, setting, &expand).map(Rc::new);
        let (value, features) = match cell.measure {
            Measure::LinearProbe => (features()?, None),
            _ => {
                let rate = self.rate(ancestor, setting)?;
                let train = self.training(ancestor, setting, &expand, seed, rate)?;
                let wanted = setting.features == Some(true);
                (Rc::new(train), wanted.then(features).transpose()?)
            }
        };
        let descendant = Some(Descendant { ancestor: ancestor.id.clone(), expand, manifest });
        Ok(Plan { features, descendant, ..alone(value) })
    }

    /// The ancestor of a setting.
    pub(crate) fn ancestor(&self, setting: &Setting) -> Result<&Ancestor> {
        let id = setting.ancestor.as_ref().ok_or_else(|| match self.scale {
            Scale::Desk => anyhow!("one of the paper's models, at the paper's scale alone"),
            Scale::Paper => anyhow!("a model of the desk, at the scale of a desk alone"),
        })?;
        let found = self.ancestors.iter().find(|ancestor| &ancestor.id == id);
        found.with_context(|| format!("no ancestor is called {id}"))
    }

    /// The checkpoint of an ancestor.
    pub(crate) fn checkpoint(&self, ancestor: &Ancestor) -> Result<Word> {
        let path = ancestor.checkpoint(self.inputs.root()).map_err(|reason| anyhow!(reason))?;
        self.inputs.file(&path)
    }

    /// Distances of an ancestor's heads.
    fn distances(&self, ancestor: &Ancestor) -> Result<Rc<Step>> {
        let step = Step::new("probe", Makes::File("json"));
        let step = step.word(self.checkpoint(ancestor)?);
        let step = step.words(self.inputs.flags(&ancestor.probe, 0)?);
        Ok(Rc::new(step.flag("out", Word::Out).taking(3.0)))
    }

    /// The learngene of a setting. Those of methods that have none of their own are as by default.
    pub(crate) fn gene(
        &self,
        ancestor: &Ancestor,
        setting: &Setting,
        seed: u64,
    ) -> Result<Rc<Step>> {
        let is_ours = setting.method() == "cluster-learngene";
        let (flags, eps) = match is_ours {
            true => (setting.condense.as_str(), setting.eps.or(ancestor.eps)),
            false => ("", ancestor.eps),
        };
        let has = |name| flags.split_whitespace().any(|flag| flag == name);
        let mut step =
            Step::new("condense", Makes::File("learngene")).word(self.checkpoint(ancestor)?);
        // What a size keeps does not depend on clusters.
        if let Some(eps) = eps.filter(|_| !has("--max-size")) {
            step = step.flag("eps", Word::Text(eps.to_string()));
        }
        // Measuring and fitting want the images again.
        let step = match has("--max-size") || has("--refit") {
            true => step.words(self.inputs.flags(&ancestor.probe, seed)?).taking(5.0),
            false => step.flag("distances", Word::Made(self.distances(ancestor)?)),
        };
        Ok(Rc::new(step.words(self.inputs.flags(flags, seed)?).flag("out", Word::Out)))
    }

    /// The initialised descendant of a setting.
    pub(crate) fn descendant(
        &self,
        ancestor: &Ancestor,
        setting: &Setting,
        seed: u64,
    ) -> Result<Rc<Step>> {
        let method = setting.method();
        if let Some(method) = method.strip_prefix("baseline ") {
            let step = Step::new("baseline", Makes::Checkpoint).text(method).taking(5.0);
            let step = step.word(self.checkpoint(ancestor)?);
            let step = step.words(self.inputs.flags(&ancestor.probe, seed)?);
            let step = step.words(self.inputs.flags(&setting.expand, seed)?);
            return Ok(Rc::new(step.flag("out", Word::Out)));
        }
        let step = Step::new("expand", Makes::Checkpoint).taking(0.2);
        let step = match method {
            "cluster-learngene" => step.word(Word::Made(self.gene(ancestor, setting, seed)?)),
            // It takes the shape alone.
            "from-scratch" => step
                .word(Word::Made(self.gene(ancestor, setting, seed)?))
                .flag("method", Word::Text(method.into())),
            _ => step
                .flag("method", Word::Text(method.into()))
                .flag("checkpoint", self.checkpoint(ancestor)?),
        };
        let flags = format!("{} {}", ancestor.expand, setting.expand);
        let step = step.words(self.inputs.flags(&flags, seed)?);
        Ok(Rc::new(step.flag("seed", Word::Text(seed.to_string())).flag("out", Word::Out)))
    }

    /// The measurement of a descendant's features, before any training.
    fn features(&self, ancestor: &Ancestor, setting: &Setting, expand: &Rc<Step>) -> Result<Step> {
        let data = setting.data.as_deref().context("no data is named")?;
        let images = self.images(data, "train")? + self.images(data, "test")?;
        let step = Step::new("eval", Makes::Nothing)
            .word(Word::Made(expand.clone()))
            .flag("data", self.inputs.dataset(data)?)
            .flag("frozen", Word::Text("knn,linear".into()))
            .flag("pool", Word::Text(setting.pool.clone().unwrap_or_else(|| "token".into())));
        Ok(step.taking(images / 3.0 * seconds_an_image(ancestor, setting)))
    }

    /// Attention maps of one image, in the first and the last layer: of the ancestor or, where there is
    /// a recipe, of its trained descendant.
    fn attention(
        &self,
        ancestor: &Ancestor,
        setting: &Setting,
        image: &str,
        seed: u64,
    ) -> Result<Step> {
        let checkpoint = match setting.recipe {
            None => self.checkpoint(ancestor)?,
            Some(_) => {
                let expand = self.descendant(ancestor, setting, seed)?;
                let rate = self.rate(ancestor, setting)?;
                let train = self.training(ancestor, setting, &expand, seed, rate)?;
                Word::Trained(Rc::new(train))
            }
        };
        let step = Step::new("inspect", Makes::File("json")).word(checkpoint);
        Ok(step.flag("attention", Word::Text(image.into())).flag("out", Word::Out))
    }

    /// The training of a descendant, at the recipe's learning rate where none is given.
    pub(crate) fn training(
        &self,
        ancestor: &Ancestor,
        setting: &Setting,
        expand: &Rc<Step>,
        seed: u64,
        rate: Option<f64>,
    ) -> Result<Step> {
        let data = setting.data.as_deref().context("no data is named")?;
        let recipe = setting.recipe.as_deref().context("no recipe is named")?;
        let mut step = Step::new("train", Makes::RunFolder)
            .word(Word::Made(expand.clone()))
            .flag("data", self.inputs.dataset(data)?)
            .flag("recipe", self.inputs.file(recipe)?);
        if let Some(rate) = rate {
            step = step.flag("lr", Word::Text(rate.to_string()));
        }
        let mut length = Length::read(self.inputs.root(), recipe)?;
        if let Some(epochs) = setting.epochs {
            step = step.flag("epochs", Word::Text(epochs.to_string()));
            length.epochs = epochs;
        }
        let step = step.words(self.inputs.flags(&setting.train, seed)?);
        let step = step.flag("seed", Word::Text(seed.to_string())).flag("out", Word::Out);
        let share = value_of(&setting.train, "--fraction").unwrap_or(1.0);
        let learnt = share * self.images(data, "train")?;
        let seen = self.images(data, "test")? * length.evaluations_per_epoch as f64 / 3.0;
        let images = length.epochs as f64 * (learnt + seen);
        Ok(step.taking(images * seconds_an_image(ancestor, setting)))
    }

    fn images(&self, data: &str, split: &str) -> Result<f64> {
        Ok(self.inputs.count(data, split)? as f64)
    }

    /// The learning rate of a setting: chosen for its method on held-out images at the desk, the
    /// recipe's for the paper.
    fn rate(&self, ancestor: &Ancestor, setting: &Setting) -> Result<Option<f64>> {
        let name = setting.rate.as_deref().unwrap_or_else(|| setting.method());
        match self.scale {
            Scale::Desk => self.rates.rate(&ancestor.id, name).map(Some),
            Scale::Paper => Ok(None),
        }
    }
}

/// What shows a learngene's manifest.
pub(crate) fn inspect(gene: &Rc<Step>) -> Rc<Step> {
    Rc::new(Step::new("inspect", Makes::Nothing).word(Word::Made(gene.clone())).taking(0.1))
}

/// Seconds to learn from one image, roughly: in proportion to layers, a third more with twice the
/// heads.
fn seconds_an_image(ancestor: &Ancestor, setting: &Setting) -> f64 {
    let flags = &setting.expand;
    let words: Vec<&str> = flags.split_whitespace().collect();
    let depth = words.iter().position(|word| *word == "--depth");
    let depth = depth.and_then(|place| words.get(place + 1)).copied();
    let layers = depth.and_then(|depth| layers(depth, DEPTH)).unwrap_or(DEPTH);
    let heads = if flags.contains("--heads x2") { 4.0 / 3.0 } else { 1.0 };
    layers / DEPTH * heads / ancestor.images_per_second
}

/// Layers that `--depth` asks for: a number, one for each stage, or a part of the ancestor's.
fn layers(depth: &str, of: f64) -> Option<f64> {
    if let Some(part) = depth.strip_prefix('x') {
        let (over, under) = part.split_once('/').unwrap_or((part, "1"));
        return Some(of * over.parse::<f64>().ok()? / under.parse::<f64>().ok()?);
    }
    depth.split(',').map(|layers| layers.parse::<f64>().ok()).sum()
}

/// The number behind a flag.
fn value_of(flags: &str, flag: &str) -> Option<f64> {
    let mut words = flags.split_whitespace().skip_while(|word| *word != flag);
    words.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests;
