use super::{Least, check_radii, inconsistent};
use crate::{Architecture, Error, Ffn, FfnAlgorithm};

pub(super) fn check(ffn: &Ffn, architecture: &Architecture) -> Result<(), Error> {
    let depth = architecture.depth();
    if let FfnAlgorithm::Contiguous { eps } = &ffn.algorithm {
        check_radii("ffn.algorithm.eps", eps, depth, Least::Zero)?;
    }
    let stages = architecture.stages();
    let mut next = 0;
    for (index, group) in ffn.groups.iter().enumerate() {
        let field = format!("ffn.groups[{index}].layers");
        let Some(&first) = group.layers.first() else {
            return Err(inconsistent(field, "no layer", "at least one"));
        };
        for &layer in &group.layers {
            if layer != next || layer >= depth {
                let wanted = if next < depth {
                    format!("layer {next}, since groups are runs of neighbouring layers")
                } else {
                    format!("its end, since all {depth} layers have a group")
                };
                return Err(inconsistent(field, format!("layer {layer}"), wanted));
            }
            next += 1;
        }
        let stage = stages.iter().find(|stage| stage.contains(&first));
        let end = stage.map_or(depth, |stage| stage.end);
        if next > end {
            let wanted = format!("no layer beyond {}, the last of its stage", end - 1);
            return Err(inconsistent(field, format!("layer {}", next - 1), wanted));
        }
        if !group.layers.contains(&group.representative) {
            let field = format!("ffn.groups[{index}].representative");
            return Err(inconsistent(field, group.representative, "a layer of the group"));
        }
        if ffn.algorithm == FfnAlgorithm::None && group.layers.len() > 1 {
            let found = format!("{} layers", group.layers.len());
            return Err(inconsistent(field, found, "1 where nothing joins layers"));
        }
    }
    if next < depth {
        return Err(inconsistent("ffn.groups", format!("{next} layers"), format!("all {depth}")));
    }
    Ok(())
}
