//! Which name of a dialect stands for which of timm's.

use learngene_shape::{Family, Projection, Swin, Vit};

use crate::Dialect;

/// How one dialect spells the parameters of one family.
#[derive(Debug)]
pub(super) struct Spelling {
    pub dialect: Dialect,
    /// The family, as [`Family::KEY`] has it.
    pub family: &'static str,
    /// What names begin with, which files of a bare backbone leave out.
    pub prefix: &'static str,
    /// Modules, or parameters that are not in one, of this dialect and timm's.
    pub rows: &'static [Row],
    /// Whether names without a row are timm's.
    pub others_are_timm: bool,
    /// A file is spelled so where it has, of each of these groups, a name that begins like one.
    pub signs: &'static [&'static [&'static str]],
    /// Beginnings of names that image classification has no use for: a layer on top of the
    /// features, and the token that stood for masked patches in pretraining.
    pub left_out: &'static [&'static str],
}

/// One name in two spellings. `{}` stands for the same number in both, `{next}` for one more: timm
/// merges tokens at the start of a stage, the others at the end of the stage before.
#[derive(Debug)]
pub(super) struct Row {
    pub stored: &'static str,
    pub timm: &'static str,
    /// The third of timm's rows that it holds; none where it holds all.
    pub third: Option<Projection>,
}

const fn row(stored: &'static str, timm: &'static str) -> Row {
    Row { stored, timm, third: None }
}

const fn third(stored: &'static str, timm: &'static str, third: Projection) -> Row {
    Row { stored, timm, third: Some(third) }
}

/// Every spelling, in the order in which they are tried.
pub(super) const SPELLINGS: [Spelling; 5] = [
    Spelling {
        dialect: Dialect::HuggingFace,
        family: Swin::KEY,
        prefix: "swin.",
        rows: &[
            row("swin.embeddings.patch_embeddings.projection", "patch_embed.proj"),
            row("swin.embeddings.norm", "patch_embed.norm"),
            row("swin.encoder.layers.{}.downsample.norm", "layers.{next}.downsample.norm"),
            row(
                "swin.encoder.layers.{}.downsample.reduction",
                "layers.{next}.downsample.reduction",
            ),
            row("swin.encoder.layers.{}.blocks.{}.layernorm_before", "layers.{}.blocks.{}.norm1"),
            third(
                "swin.encoder.layers.{}.blocks.{}.attention.self.query",
                "layers.{}.blocks.{}.attn.qkv",
                Projection::Query,
            ),
            third(
                "swin.encoder.layers.{}.blocks.{}.attention.self.key",
                "layers.{}.blocks.{}.attn.qkv",
                Projection::Key,
            ),
            third(
                "swin.encoder.layers.{}.blocks.{}.attention.self.value",
                "layers.{}.blocks.{}.attn.qkv",
                Projection::Value,
            ),
            row(
                "swin.encoder.layers.{}.blocks.{}.attention.self.relative_position_bias_table",
                "layers.{}.blocks.{}.attn.relative_position_bias_table",
            ),
            row(
                "swin.encoder.layers.{}.blocks.{}.attention.output.dense",
                "layers.{}.blocks.{}.attn.proj",
            ),
            row("swin.encoder.layers.{}.blocks.{}.layernorm_after", "layers.{}.blocks.{}.norm2"),
            row(
                "swin.encoder.layers.{}.blocks.{}.intermediate.dense",
                "layers.{}.blocks.{}.mlp.fc1",
            ),
            row("swin.encoder.layers.{}.blocks.{}.output.dense", "layers.{}.blocks.{}.mlp.fc2"),
            row("swin.layernorm", "norm"),
            row("classifier", "head.fc"),
        ],
        others_are_timm: false,
        signs: &[&["swin.encoder.layers.{}.", "swin.embeddings.norm."]],
        left_out: &["swin.pooler.", "swin.embeddings.mask_token"],
    },
    Spelling {
        dialect: Dialect::HuggingFace,
        family: Vit::KEY,
        prefix: "vit.",
        rows: &[
            row("vit.embeddings.cls_token", "cls_token"),
            row("vit.embeddings.position_embeddings", "pos_embed"),
            row("vit.embeddings.patch_embeddings.projection", "patch_embed.proj"),
            row("vit.encoder.layer.{}.layernorm_before", "blocks.{}.norm1"),
            third(
                "vit.encoder.layer.{}.attention.attention.query",
                "blocks.{}.attn.qkv",
                Projection::Query,
            ),
            third(
                "vit.encoder.layer.{}.attention.attention.key",
                "blocks.{}.attn.qkv",
                Projection::Key,
            ),
            third(
                "vit.encoder.layer.{}.attention.attention.value",
                "blocks.{}.attn.qkv",
                Projection::Value,
            ),
            row("vit.encoder.layer.{}.attention.output.dense", "blocks.{}.attn.proj"),
            row("vit.encoder.layer.{}.layernorm_after", "blocks.{}.norm2"),
            row("vit.encoder.layer.{}.intermediate.dense", "blocks.{}.mlp.fc1"),
            row("vit.encoder.layer.{}.output.dense", "blocks.{}.mlp.fc2"),
            row("vit.layernorm", "norm"),
            row("classifier", "head"),
        ],
        others_are_timm: false,
        signs: &[&["vit.encoder.layer.", "vit.embeddings.patch_embeddings."]],
        left_out: &["vit.pooler.", "vit.embeddings.mask_token"],
    },
    Spelling {
        dialect: Dialect::Official,
        family: Swin::KEY,
        prefix: "",
        rows: &[
            row("layers.{}.downsample.norm", "layers.{next}.downsample.norm"),
            row("layers.{}.downsample.reduction", "layers.{next}.downsample.reduction"),
            row("head", "head.fc"),
        ],
        others_are_timm: true,
        signs: &[
            &["patch_embed.norm.", "layers.{}."],
            &["layers.0.downsample.", "head.weight", "head.bias"],
        ],
        left_out: &["mask_token"],
    },
    Spelling {
        dialect: Dialect::Timm,
        family: Swin::KEY,
        prefix: "",
        rows: &[],
        others_are_timm: true,
        signs: &[&["patch_embed.norm.", "layers.{}."]],
        left_out: &["mask_token"],
    },
    Spelling {
        dialect: Dialect::Timm,
        family: Vit::KEY,
        prefix: "",
        rows: &[],
        others_are_timm: true,
        signs: &[&["blocks.", "patch_embed.", "pos_embed"]],
        left_out: &["mask_token"],
    },
];

/// Ends of the names of a Swin's buffers, which follow from its shape: places in the tables, and the
/// masks of shifted windows.
pub(super) const INDEX: &str = ".relative_position_index";
pub(super) const MASK: &str = ".attn_mask";

/// Beginnings of timm's names in a layer or a stage, with the number of the stage, where there are
/// stages, and then of the layer in it.
pub(super) const LAYERS: [&str; 3] = ["layers.{}.blocks.{}.", "layers.{}.", "blocks.{}."];

/// Parts of names that models of other kinds have, and what those are.
pub(super) const OTHERS: [(&str, &str); 6] = [
    ("dist_token", "distilled DeiT"),
    ("head_dist.", "distilled DeiT"),
    ("distillation_classifier.", "distilled DeiT"),
    ("embeddings.distillation_token", "distilled DeiT"),
    ("attn.cpb_mlp.", "Swin V2"),
    ("continuous_position_bias_mlp.", "Swin V2"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A row without its number would silently stand for another layer's name.
    #[test]
    fn both_sides_of_a_row_have_as_many_numbers() {
        for row in SPELLINGS.iter().flat_map(|spelling| spelling.rows) {
            let [stored, timm] = [row.stored, row.timm].map(|name| name.matches('{').count());
            assert_eq!(stored, timm, "{row:?}");
        }
    }
}
