//! What a layer's heads can look at: its square of patches.

use anyhow::Result;
use serde_json::Value;

use super::describe::field;

/// The patches that one of them attends to: a ViT's image, a Swin's window.
#[derive(Debug, PartialEq)]
pub(crate) struct Sight {
    /// Patches on a side.
    side: usize,
    /// Side of a patch in pixels.
    patch_size: usize,
}

impl Sight {
    /// Of every layer of an architecture as `learngene inspect` prints it.
    ///
    /// # Errors
    /// When a field is missing.
    pub(crate) fn of_layers(architecture: &Value) -> Result<Vec<Self>> {
        let patch_size: usize = field(architecture, "patch_size")?;
        let side = field::<usize>(architecture, "image_size")? / patch_size;
        if architecture["window_size"].is_null() {
            let depth: usize = field(architecture, "depth")?;
            return Ok((0..depth).map(|_| Self { side, patch_size }).collect());
        }
        let window: usize = field(architecture, "window_size")?;
        let depths: Vec<usize> = field(architecture, "depths")?;
        // Each stage joins two by two patches of the one before.
        let of_stage = |stage: usize| Self {
            side: window.min(side >> stage),
            patch_size: patch_size << stage,
        };
        let stages = depths.iter().enumerate();
        Ok(stages.flat_map(|(stage, &depth)| (0..depth).map(move |_| of_stage(stage))).collect())
    }

    /// Mean attention distance in pixels of a head that attends to all patches alike: the mean over
    /// all pairs of patches.
    pub(crate) fn uniform_distance(&self) -> f64 {
        let side = self.side as f64;
        // Along one axis, ordered pairs that are so many patches apart.
        let pairs = |apart: usize| match apart {
            0 => side,
            _ => 2.0 * (side - apart as f64),
        };
        let of_rows = |down: usize| {
            let distance = move |across: usize| (down as f64).hypot(across as f64);
            (0..self.side)
                .map(move |across| pairs(down) * pairs(across) * distance(across))
                .sum::<f64>()
        };
        let sum: f64 = (0..self.side).map(of_rows).sum();
        sum / side.powi(4) * self.patch_size as f64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_vit_sees_all_of_the_image_in_every_layer() {
        let vit = json!({"image_size": 32, "patch_size": 4, "depth": 2});
        let sight = Sight::of_layers(&vit).expect("an architecture");
        assert_eq!(sight, [Sight { side: 8, patch_size: 4 }, Sight { side: 8, patch_size: 4 }]);
    }

    #[test]
    fn a_swin_sees_windows_of_larger_patches_in_later_stages() {
        let depths = [1, 2, 1, 1];
        let swin = json!({"image_size": 32, "patch_size": 2, "window_size": 4, "depths": depths});
        let sight = Sight::of_layers(&swin).expect("an architecture");
        let told: Vec<_> = sight.iter().map(|sight| (sight.side, sight.patch_size)).collect();
        assert_eq!(told, [(4, 2), (4, 4), (4, 4), (4, 8), (2, 16)]);
    }

    #[test]
    fn the_uniform_distance_is_the_mean_over_all_pairs() {
        let check = |side: usize, patch_size: usize| {
            let place = |patch: usize| ((patch / side) as f64, (patch % side) as f64);
            let pairs = (0..side * side).flat_map(|a| (0..side * side).map(move |b| (a, b)));
            let distances = pairs.map(|(a, b)| {
                let ((y, x), (v, u)) = (place(a), place(b));
                (y - v).hypot(x - u) * patch_size as f64
            });
            let want = distances.sum::<f64>() / (side * side).pow(2) as f64;
            let got = Sight { side, patch_size }.uniform_distance();
            assert!((got - want).abs() < 1e-9, "{got} is not {want}");
        };
        check(1, 16);
        check(2, 8);
        check(6, 14);
    }
}
