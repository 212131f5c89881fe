use super::{check_length, inconsistent};
use crate::{Error, Fit, Manifest, Refit};

pub(super) fn check(refit: &Refit, manifest: &Manifest) -> Result<(), Error> {
    if !(refit.ridge.is_finite() && refit.ridge >= 0.0) {
        return Err(inconsistent("refit.ridge", refit.ridge, "a finite number of 0 or more"));
    }
    if refit.images == 0 {
        return Err(inconsistent("refit.images", 0, "at least 1"));
    }
    check_length("refit.attention", refit.attention.len(), manifest.layers.len())?;
    for (layer, (fits, clusters)) in refit.attention.iter().zip(&manifest.layers).enumerate() {
        let field = format!("refit.attention[{layer}]");
        let centroids = clusters.sizes.len();
        let heads: Vec<usize> = fits.iter().map(|fit| fit.heads).collect();
        let is_falling = heads.is_sorted_by(|more, fewer| more > fewer);
        if heads.first() != Some(&centroids) || !is_falling || heads.last() == Some(&0) {
            let wanted = format!("all {centroids} centroids, then falling numbers of at least 1");
            return Err(inconsistent(field, format!("{heads:?} heads"), wanted));
        }
        fits.iter().try_for_each(|fit| check_fit(&field, &fit.fit))?;
    }
    check_length("refit.ffn", refit.ffn.len(), manifest.ffn.groups.len())?;
    for (index, (fit, group)) in refit.ffn.iter().zip(&manifest.ffn.groups).enumerate() {
        let field = format!("refit.ffn[{index}]");
        match fit {
            Some(_) if group.layers.len() == 1 => {
                return Err(inconsistent(field, "a fit", "null for a group of one layer"));
            }
            Some(fit) => check_fit(&field, fit)?,
            None if group.layers.len() > 1 => {
                return Err(inconsistent(field, "null", "a fit for a group of several layers"));
            }
            None => {}
        }
    }
    Ok(())
}

fn check_fit(field: &str, fit: &Fit) -> Result<(), Error> {
    for residual in [&fit.before, &fit.after] {
        for value in [residual.relative, residual.median_channel, residual.worst_channel] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(inconsistent(field, value, "finite errors of 0 or more"));
            }
        }
    }
    Ok(())
}
