//! What is said of an error beyond its own words.

/// What else can be done about images that cannot be decoded, where the command reads many.
pub fn hint(error: &anyhow::Error) -> &'static str {
    let is_image = error.chain().any(|cause| cause.is::<image::ImageError>());
    if is_image { "; --bad-images skip leaves such images out" } else { "" }
}
