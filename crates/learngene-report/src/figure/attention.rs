//! Attention maps (Fig. 6): 255 times the attention as grey, ancestor and descendant side by side.

use std::{
    fmt::{self, Write},
    io,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::told;
use crate::{
    data::{Ancestor, AttentionMap},
    grid::unique,
    text::Text,
};

/// A map with its bytes.
struct Map<'a> {
    of: &'a AttentionMap,
    /// `[query][key]`, row by row.
    bytes: Vec<u8>,
}

/// What a map says in numbers, both over all its queries.
struct Told {
    /// Part of the attention that a token pays itself, in percent.
    own: f64,
    /// Mean number of keys that together get half of a query's attention.
    half: f64,
}

impl Map<'_> {
    fn tell(&self) -> Told {
        let tokens = self.of.tokens;
        let (mut own, mut all, mut half) = (0.0, 0.0, 0usize);
        for (query, row) in self.bytes.chunks(tokens).enumerate() {
            let sum: f64 = row.iter().map(|&byte| f64::from(byte)).sum();
            own += f64::from(row[query]);
            all += sum;
            let mut keys = row.to_vec();
            keys.sort_unstable_by(|a, b| b.cmp(a));
            let mut reached = 0.0;
            let is_below = |&&byte: &&u8| {
                let was = reached;
                reached += f64::from(byte);
                was < sum / 2.0
            };
            half += keys.iter().take_while(is_below).count();
        }
        // A map of weights that all round to zero says nothing.
        let own = if all > 0.0 { 100.0 * own / all } else { 0.0 };
        Told { own, half: half as f64 / tokens as f64 }
    }

    fn name(&self) -> String {
        let AttentionMap { model, layer, head, .. } = self.of;
        format!("{model}, layer {layer}, head {head}")
    }
}

/// Draws the maps of one ancestor, and the folded table of what they say.
pub(crate) fn draw(out: &mut String, ancestor: &Ancestor) -> fmt::Result {
    // Checked: what does not decode never gets here.
    let decode = |of| Some(Map { of, bytes: STANDARD.decode(&of.values).ok()? });
    let maps: Vec<Map> = ancestor.attention.iter().filter_map(decode).collect();
    if maps.is_empty() {
        return Ok(());
    }
    let caption = "Rows are queries, columns keys, from the top left; brightness is 255 times the \
                   attention after softmax, white where it is one.";
    let title = format!("Attention of {} and of descendants.", Text(&ancestor.name));
    super::open(out, &format!("{}-attention", ancestor.id), &title, caption)?;
    let id = &ancestor.id;
    writeln!(
        out,
        "<p class=\"choice\"><input type=\"checkbox\" class=\"brighten\" id=\"{id}-brighten\"> \
         <label for=\"{id}-brighten\">eight times as bright, to see what is faint</label></p>"
    )?;
    let models = unique(maps.iter().map(|map| &*map.of.model));
    let layers =
        |model: &str| unique(maps.iter().filter(|m| m.of.model == model).map(|m| m.of.layer));
    let most = models.iter().map(|model| layers(model).len()).max().unwrap_or(0);
    // The first layers of all models side by side, then the second, whatever their numbers are.
    for place in 0..most {
        writeln!(out, "<div class=\"beside\">")?;
        for model in &models {
            let Some(layer) = layers(model).get(place).copied() else { continue };
            let of_layer = maps.iter().filter(|m| m.of.model == *model && m.of.layer == layer);
            write!(out, "<div><h4>{}, layer {layer}</h4><div class=\"maps\">", Text(model))?;
            for map in of_layer {
                image(out, map)?;
            }
            writeln!(out, "</div></div>")?;
        }
        writeln!(out, "</div>")?;
    }
    table(out, ancestor, &maps)?;
    writeln!(out, "</figure>")
}

fn image(out: &mut String, map: &Map) -> fmt::Result {
    let Told { own, half } = map.tell();
    let words = format!(
        "Attention map of {}: {own:.0} % on the token itself, half of it on {half:.1} keys.",
        map.name()
    );
    let png = STANDARD.encode(encode(map).map_err(|_| fmt::Error)?);
    write!(
        out,
        "<div class=\"map\"><img {} width=\"{}\" height=\"{}\" src=\"data:image/png;base64,{png}\">\
         <span>head {}</span></div>",
        told(&words).replacen("aria-label", "alt", 1).replacen("role=\"img\" ", "", 1),
        map.of.tokens,
        map.of.tokens,
        map.of.head,
    )
}

/// A grey PNG of one byte a pixel, the same bytes for the same map.
fn encode(map: &Map) -> Result<Vec<u8>, io::Error> {
    let side = u32::try_from(map.of.tokens).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&map.bytes)?;
    writer.finish()?;
    Ok(bytes)
}

fn table(out: &mut String, ancestor: &Ancestor, maps: &[Map]) -> fmt::Result {
    super::open_numbers(out, &format!("What the maps of {} say, in numbers", ancestor.name))?;
    write!(
        out,
        "<caption>Mean over queries, from the bytes of the maps.</caption><thead><tr>\
         <th scope=\"col\">Model</th><th scope=\"col\" class=\"n\">Layer</th>\
         <th scope=\"col\" class=\"n\">Head</th><th scope=\"col\" class=\"n\">Tokens</th>\
         <th scope=\"col\" class=\"n\">On itself (%)</th>\
         <th scope=\"col\" class=\"n\">Keys with half of it</th></tr></thead><tbody>"
    )?;
    for map in maps {
        let (Told { own, half }, of) = (map.tell(), map.of);
        writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{own:.1}</td><td class=\"n\">{half:.1}</td></tr>",
            Text(&of.model),
            of.layer,
            of.head,
            of.tokens,
        )?;
    }
    super::close_numbers(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(tokens: usize, bytes: &[u8], judge: impl FnOnce(&Map)) {
        let of = AttentionMap {
            model: "ancestor".into(),
            layer: 0,
            head: 0,
            tokens,
            values: STANDARD.encode(bytes),
        };
        judge(&Map { of: &of, bytes: bytes.to_vec() });
    }

    fn check(tokens: usize, bytes: &[u8], own: f64, half: f64) {
        with(tokens, bytes, |map| {
            let told = map.tell();
            assert_eq!((told.own, told.half), (own, half));
        });
    }

    #[test]
    fn a_map_is_told_in_numbers() {
        // Each token looks at itself alone.
        check(2, &[255, 0, 0, 255], 100.0, 1.0);
        // The first spreads 100 evenly, the second gives all to the first: 50 of 200 on itself.
        check(2, &[50, 50, 100, 0], 25.0, 1.0);
        // 40 of 100 is not half, 70 is.
        check(3, &[40, 30, 30, 30, 40, 30, 30, 30, 40], 40.0, 2.0);
    }

    #[test]
    fn weights_that_round_to_zero_divide_nothing() {
        check(2, &[0; 4], 0.0, 0.0);
    }

    #[test]
    fn a_png_holds_the_bytes_of_the_map() {
        with(2, &[1, 20, 255, 7], |map| {
            let png = encode(map).expect("four pixels are a picture");
            let mut reader = png::Decoder::new(io::Cursor::new(png)).read_info().expect("a PNG");
            let mut pixels = vec![0; reader.output_buffer_size().expect("small")];
            let info = reader.next_frame(&mut pixels).expect("a frame");
            assert_eq!((info.width, info.height), (2, 2));
            assert_eq!(&pixels[..4], &[1, 20, 255, 7]);
        });
    }
}
