//! The ancestors as the report shows them: what they are, their probe and their clusters.

use std::{fs, rc::Rc};

use anyhow::{Context, Result};
use learngene_report::data;
use learngene_shape::{Field, Shape};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    ancestors::Ancestor,
    ledger::Ledger,
    pipeline::{Pipeline, inspect},
    setting::Setting,
    step::{Makes, Step, Word, hex},
};

/// The steps that tell what an ancestor is.
struct Told {
    gene: Rc<Step>,
    manifest: Rc<Step>,
    /// A descendant that is all of the ancestor: what a forward pass costs.
    whole: Rc<Step>,
    test: Option<Step>,
}

impl Pipeline<'_> {
    fn told(&self, ancestor: &Ancestor) -> Result<Told> {
        let (default, method) = (Setting::default(), Some("pretraining-finetuning".to_owned()));
        let gene = self.gene(ancestor, &default, 0)?;
        let whole = Setting { method, ..default };
        let mut plain = ancestor.clone();
        plain.expand.clear();
        let whole = self.descendant(&plain, &whole, 0)?;
        let test = ancestor.test.as_ref().map(|data| {
            let step = Step::new("eval", Makes::Nothing);
            let step = step.word(self.checkpoint(ancestor)?);
            Ok::<_, anyhow::Error>(step.flag("data", self.inputs.dataset(data)?).taking(3.0))
        });
        Ok(Told { manifest: inspect(&gene), gene, whole, test: test.transpose()? })
    }

    /// An ancestor with its learngene.
    ///
    /// # Errors
    /// When it is not here, a step fails, or is missing and may not be run.
    pub(crate) fn describe(
        &self,
        ancestor: &Ancestor,
        ledger: &Ledger<'_>,
    ) -> Result<data::Ancestor> {
        let told = self.told(ancestor)?;
        let Word::File { path, sha256 } = self.checkpoint(ancestor)? else {
            unreachable!("a checkpoint is a file")
        };
        let checkpoint = self.inputs.root().join(&path);
        let bytes = fs::metadata(&checkpoint).with_context(|| format!("cannot read {path}"))?.len();
        let manifest = ledger.result(&told.manifest)?;
        let shape: Shape = field(&manifest["ancestor"], "shape")?;
        let whole = ledger.result(&told.whole)?;
        let tested = told.test.as_ref().map(|test| ledger.result(test)).transpose()?;
        ledger.tidy(&told.whole);
        Ok(data::Ancestor {
            id: ancestor.id.clone(),
            name: ancestor.name.clone(),
            family: ancestor.family.clone(),
            sha256,
            embed_dim: shape.num_features(),
            num_heads: shape.num_heads(),
            params: field(&manifest["ancestor"], "parameters")?,
            macs: field(&whole, "macs")?,
            bytes,
            top1: tested.and_then(|tested| tested["top1"].as_f64()),
            note: ancestor.note.clone(),
            learngene: learngene(&told.gene, &manifest, &shape, ledger)?,
            // An experiment's.
            attention: Vec::new(),
        })
    }
}

fn learngene(
    gene: &Step,
    manifest: &Value,
    shape: &Shape,
    ledger: &Ledger<'_>,
) -> Result<data::Learngene> {
    let path = ledger.file(gene)?;
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (distances, heads) = (&manifest["distances"], &manifest["clusters"]["heads"]);
    let algorithm = &heads["algorithm"];
    let layers: Vec<Value> = field(heads, "layers")?;
    let clusters = |layer: &Value| {
        Ok(data::Clusters {
            labels: field(layer, "labels")?,
            sizes: field(layer, "sizes")?,
            representatives: field(layer, "representatives")?,
        })
    };
    Ok(data::Learngene {
        sha256: hex(&Sha256::digest(&bytes)),
        bytes: bytes.len() as u64,
        stored_params: field(&manifest["parameters"], "stored")?,
        eps: field(algorithm, "eps")?,
        min_points: field(algorithm, "min_points")?,
        images: field(distances, "images")?,
        convention: field(distances, "convention")?,
        mean_attention_distance: field(distances, "mean_attention_distance")?,
        std: field(distances, "std")?,
        uniform: shape.layers().iter().map(|layer| uniform_distance(layer.field)).collect(),
        layers: layers.iter().map(clusters).collect::<Result<_>>()?,
    })
}

/// Mean attention distance in pixels of a head that attends to all patches equally: the mean over all
/// pairs of patches.
fn uniform_distance(field: Field) -> f64 {
    let distances = field.distances();
    distances.iter().map(|distance| f64::from(*distance)).sum::<f64>() / distances.len() as f64
}

/// A field of what the program prints.
pub(crate) fn field<T: DeserializeOwned>(printed: &Value, name: &str) -> Result<T> {
    serde_json::from_value(printed[name].clone())
        .with_context(|| format!("`learngene` printed no `{name}` as it should be"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Two by two patches: of four pairs each is one pixel apart twice and the diagonal once.
    #[test]
    fn the_uniform_distance_is_the_mean_over_all_pairs() {
        let field = Field { prefix: 1, resolution: 2, window: 2, shift: 0, token_pixels: 1 };
        let want = (1.0 + 1.0 + 2f64.sqrt()) / 4.0;
        assert!((uniform_distance(field) - want).abs() < 1e-6);
    }

    #[test]
    fn what_was_not_printed_is_an_error() {
        let error = field::<u64>(&json!({}), "macs").expect_err("missing");
        assert_eq!(error.to_string(), "`learngene` printed no `macs` as it should be");
    }
}
