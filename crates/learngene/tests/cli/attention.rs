//! `learngene inspect --attention`: maps of Fig. 6.

use std::io::Cursor;

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ImageFormat, RgbImage};
use serde_json::Value;

use crate::{
    tensors::Tensors,
    workbench::{TINY, Workbench, golden, png},
};

/// An image of the model's own size, so that nothing is resized or cut.
fn bench() -> (Workbench, RgbImage) {
    let bench = Workbench::new();
    let picture = RgbImage::from_fn(32, 32, |x, y| {
        image::Rgb([(x * 7) as u8, (y * 5 + x) as u8, (x * y % 251) as u8])
    });
    bench.write("cat.png", png(&picture));
    bench.write("cats/0.png", png(&RgbImage::new(32, 32)));
    bench.write("cats/1.png", png(&picture));
    (bench, picture)
}

fn bytes(map: &Value) -> Vec<u8> {
    STANDARD.decode(map["values"].as_str().expect("a text")).expect("base64")
}

/// What `forward --attention` computes of the same pixels, times 255 and rounded.
#[test]
fn a_map_is_the_attention_of_a_head() {
    let (bench, picture) = bench();
    let mut input = Tensors::filled("input", &[1, 3, 32, 32], 0.0);
    input.map("input", |at, _| {
        let (channel, pixel) = (at / 1024, (at % 1024) as u32);
        let byte = picture.get_pixel(pixel % 32, pixel / 32).0[channel];
        (f32::from(byte) / 255.0 - 0.5) / 0.25
    });
    bench.write("x.safetensors", input.to_bytes());
    bench.succeed(&format!("forward {TINY} --input x.safetensors --out y.safetensors --attention"));
    let forward = Tensors::of(&bench.read("y.safetensors"));

    let normalised = "--mean 0.5,0.5,0.5 --std 0.25,0.25,0.25";
    let said = bench.succeed(&format!(
        "inspect {TINY} --attention cat.png {normalised} --out maps.json --png maps"
    ));
    assert_eq!(said, "6 maps of 2 layers\n");
    let maps = bench.json("maps.json");
    let places = [(0, 0), (0, 1), (0, 2), (2, 0), (2, 1), (2, 2)];
    assert_eq!(maps.as_array().map(Vec::len), Some(places.len()));
    for (at, (layer, head)) in places.into_iter().enumerate() {
        let map = &maps[at];
        assert_eq!(map["model"], "ancestor");
        assert_eq!((&map["layer"], &map["head"]), (&layer.into(), &head.into()));
        // 4 x 4 patches and the class token.
        assert_eq!(map["tokens"], 17);
        let (_, weights) = forward.get(&format!("attention.{layer}"));
        let wanted = weights[head * 289..][..289].iter().map(|w| (255.0 * w).round() as u8);
        let wanted: Vec<u8> = wanted.collect();
        assert_eq!(bytes(map), wanted, "layer {layer}, head {head}");
        assert_eq!(drawn(&bench, layer, head), wanted);
    }

    bench.succeed(&format!(
        "inspect {TINY} --attention cat.png {normalised} --out maps.json --png maps --brighten"
    ));
    for (layer, head) in places {
        let (_, weights) = forward.get(&format!("attention.{layer}"));
        let weights = &weights[head * 289..][..289];
        let largest = weights.iter().copied().fold(0.0, f32::max);
        let wanted = weights.iter().map(|weight| (255.0 * weight / largest).round() as u8);
        assert_eq!(drawn(&bench, layer, head), wanted.collect::<Vec<_>>());
    }
}

fn drawn(bench: &Workbench, layer: usize, head: usize) -> Vec<u8> {
    let png = bench.read(&format!("maps/layer{layer}_head{head}.png"));
    let png = image::ImageReader::with_format(Cursor::new(png), ImageFormat::Png).decode();
    png.expect("a PNG").into_luma8().into_raw()
}

#[test]
fn an_image_of_a_folder_or_dataset_is_named_by_its_index() {
    let (bench, _) = bench();
    let maps = |image: &str, flags: &str| {
        bench.succeed_json(&format!(
            "inspect {TINY} --attention {image} {flags} --out m.json --json"
        ))
    };
    assert_eq!(maps("cats:1", "--name l3"), maps("cat.png", "--name l3"));
    assert_ne!(maps("cats:0", ""), maps("cats:1", ""));
    let one = maps("cats:1", "--layers 1,1 --name l3");
    assert_eq!(one, bench.json("m.json"), "what is printed is what is written");
    assert_eq!((one.as_array().map(Vec::len), &one[0]["model"]), (Some(3), &"l3".into()));
    assert_ne!(maps("cifar10-sample:0", ""), maps("cifar10-sample:0", "--split train"));
}

#[test]
fn a_swins_map_is_that_of_its_first_window() {
    let bench = Workbench::new();
    bench.lay("swin.safetensors", &golden("swin_tiny_golden/timm.safetensors"));
    let args = "inspect swin.safetensors --image-size 32 --attention cifar10-sample:1";
    let maps = bench.succeed_json(&format!("{args} --out m.json --json"));
    // Two heads in the first layer, four in the last, windows of 4 x 4 tokens.
    assert_eq!(maps.as_array().map(Vec::len), Some(6));
    for map in maps.as_array().expect("a list") {
        let tokens = map["tokens"].as_u64().expect("a number") as usize;
        assert_eq!(bytes(map).len(), tokens * tokens);
        for row in bytes(map).chunks(tokens) {
            let sum: f64 = row.iter().map(|byte| f64::from(*byte)).sum();
            assert!((sum - 255.0).abs() <= tokens as f64 / 2.0, "attention of a query is {sum}");
        }
    }
}

fn check(image: &str, flags: &str, parts: &[&str]) {
    let (bench, _) = bench();
    let args = format!("inspect {TINY} --attention {image} {flags} --out m.json");
    bench.check(&args, parts);
}

#[test]
fn a_layer_that_is_not_there() {
    check("cat.png", "--layers 0,3", &["--layers has 3", "the model's layers are 0 to 2"]);
}

#[test]
fn an_index_past_the_end() {
    check("cats:2", "", &["`cats:2`", "cats has 2 test images", "the last index is 1"]);
}

#[test]
fn no_image() {
    check("dog.png", "", &["--attention is `dog.png`", "wanted a file", "cifar10-sample:3"]);
    check("cats", "", &["--attention is `cats`", "wanted a file"]);
    check("dogs:0", "", &["dogs", "known are"]);
}

#[test]
fn a_file_that_is_no_image() {
    check("tiny.safetensors", "", &["cannot decode the image tiny.safetensors"]);
}

/// Weights so large that scores overflow.
#[test]
fn attention_that_is_no_number() {
    let (bench, _) = bench();
    let mut tensors = Tensors::of(&bench.read("tiny.safetensors"));
    tensors.map("blocks.1.attn.qkv.weight", |_, value| value * 1e30);
    bench.write("huge.safetensors", tensors.to_bytes());
    let args = "inspect huge.safetensors --num-heads 3 --attention cat.png --layers 1";
    bench.check(&format!("{args} --out m.json"), &["attention of layer 1 is not finite"]);
}
