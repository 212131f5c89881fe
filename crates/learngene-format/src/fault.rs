use std::fmt;

use serde::{Deserialize, Serialize};

/// A fault of the paper's published code that is replayed, to measure what it costs.
///
/// Those of the learngene itself stand in its manifest, so that nobody takes it for a sound one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Rows of a fused `qkv` are read as `[num_heads, 3 * head_dim]`, though they are
    /// `[3, num_heads, head_dim]`: what is called a head is three heads of one role.
    MixedHeads,
    /// Images of the probe were normalised by statistics on the scale of bytes, which leaves them
    /// nearly blank.
    BlankProbe,
    /// Biases of query, key and value are not inherited.
    LostBias,
    /// Feed-forward weights go through a random network that is never trained.
    DestructiveFfn,
    /// Every epoch of training ends after half of its batches.
    HalfEpochs,
}

impl Fault {
    /// Whether it happens while a learngene is made; the others come after.
    pub fn is_of_learngene(self) -> bool {
        matches!(self, Self::MixedHeads | Self::BlankProbe)
    }

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::MixedHeads => "mixed-heads",
            Self::BlankProbe => "blank-probe",
            Self::LostBias => "lost-bias",
            Self::DestructiveFfn => "destructive-ffn",
            Self::HalfEpochs => "half-epochs",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_messages_have_the_same_words() {
        use Fault::{BlankProbe, DestructiveFfn, HalfEpochs, LostBias, MixedHeads};
        for fault in [MixedHeads, BlankProbe, LostBias, DestructiveFfn, HalfEpochs] {
            let written = serde_json::to_value(fault).expect("a word");
            assert_eq!(written, fault.to_string());
        }
    }
}
