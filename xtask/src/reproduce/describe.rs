//! The ancestors as the report shows them: what they are, their probe and their clusters.

use std::{fs, rc::Rc};

use anyhow::{Context, Result};
use learngene_report::data::{self, Family};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    ancestors::Ancestor,
    ledger::Ledger,
    measure::flat,
    pipeline::{Pipeline, inspect},
    setting::Setting,
    sight::Sight,
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
            let step = step.flag("checkpoint", self.checkpoint(ancestor)?);
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
        let whole = ledger.result(&told.whole)?;
        let tested = told.test.as_ref().map(|test| ledger.result(test)).transpose()?;
        ledger.tidy(&told.whole);
        Ok(data::Ancestor {
            id: ancestor.id.clone(),
            name: ancestor.name.clone(),
            family: ancestor.family,
            sha256,
            embed_dim: embed_dim(ancestor.family, &manifest["architecture"])?,
            num_heads: flat(&manifest["architecture"]["num_heads"]),
            params: field(&manifest["ancestor"], "parameters")?,
            macs: field(&whole, "macs")?,
            bytes,
            top1: tested.and_then(|tested| tested["top1"].as_f64()),
            note: ancestor.note.clone(),
            learngene: learngene(&told.gene, &manifest, ledger)?,
            // An experiment's.
            attention: Vec::new(),
        })
    }
}

fn learngene(gene: &Step, manifest: &Value, ledger: &Ledger<'_>) -> Result<data::Learngene> {
    let path = ledger.file(gene)?;
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (probe, algorithm) = (&manifest["probe"], &manifest["clustering"]["algorithm"]);
    let layers: Vec<Value> = field(manifest, "layers")?;
    let sight = Sight::of_layers(&manifest["architecture"])?;
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
        images: field(probe, "images")?,
        convention: field(probe, "convention")?,
        mean_attention_distance: field(probe, "mean_attention_distance")?,
        std: field(probe, "std")?,
        uniform: sight.iter().map(Sight::uniform_distance).collect(),
        layers: layers.iter().map(clusters).collect::<Result<_>>()?,
    })
}

/// Width of a token, of a Swin's in its last stage.
fn embed_dim(family: Family, architecture: &Value) -> Result<usize> {
    let first: usize = field(architecture, "embed_dim")?;
    match family {
        Family::Vit => Ok(first),
        Family::Swin => {
            let depths: Vec<usize> = field(architecture, "depths")?;
            // Each stage is twice as wide as the one before.
            Ok(first << depths.len().saturating_sub(1))
        }
    }
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

    #[test]
    fn a_swin_is_as_wide_as_its_last_stage() {
        let architecture = json!({"embed_dim": 32, "depths": [4, 4, 4]});
        assert_eq!(embed_dim(Family::Swin, &architecture).expect("a Swin"), 128);
        assert_eq!(embed_dim(Family::Vit, &architecture).expect("a ViT"), 32);
    }

    #[test]
    fn what_was_not_printed_is_an_error() {
        let error = field::<u64>(&json!({}), "macs").expect_err("missing");
        assert_eq!(error.to_string(), "`learngene` printed no `macs` as it should be");
    }
}
