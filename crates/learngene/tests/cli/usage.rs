//! Command lines that say nothing that could be done: exit code 2.

use crate::workbench::{TINY, Workbench};

fn check(args: &str, parts: &[&str]) {
    Workbench::new().check(args, parts);
}

#[test]
fn an_unknown_command() {
    check("condens", &["condens", "condense"]);
}

#[test]
fn an_unknown_flag() {
    check(&format!("probe {TINY} --images cifar10-sample --out y --epss 1"), &["--epss", "--eps"]);
}

#[test]
fn a_missing_checkpoint() {
    check("probe --images cifar10-sample --out distances.json", &["<MODEL>"]);
}

#[test]
fn a_missing_output() {
    check(&format!("forward {TINY} --input x.safetensors"), &["--out <FILE>"]);
}

#[test]
fn neither_images_nor_distances() {
    check(&format!("condense {TINY} --out x.learngene"), &["--images", "--distances"]);
}

#[test]
fn both_images_and_distances() {
    let args = format!("condense {TINY} --images cifar10-sample --distances b --out x.learngene");
    check(&args, &["--images", "cannot be used with", "--distances"]);
}

/// Everything that bears on a probe or a clustering that is not done is refused, not ignored.
#[test]
fn what_would_have_no_effect() {
    let condense = format!("condense {TINY} --distances a --out x.learngene");
    for flag in [
        "--limit 3",
        "--split test",
        "--batch-size 2",
        "--convention published",
        "--bad-images skip",
        "--image-size 32",
        "--crop-pct 1",
        "--mean 0,0,0",
        "--std 1,1,1",
        "--device flex",
        "--ridge 1",
        "--max-size 1M",
    ] {
        let name = flag.split(' ').next().expect("it begins with its name");
        let parts = ["'--distances <FILE>'", "cannot be used with", name];
        check(&format!("{condense} {flag}"), &parts);
    }
    for flag in ["--eps 1", "--min-points 2", "--kmeans 2", "--random-heads 1", "--ffn paper"] {
        let name = flag.split(' ').next().expect("it begins with its name");
        let parts = ["'--clusters <FILE>'", "cannot be used with", name];
        check(&format!("{condense} --clusters b {flag}"), &parts);
    }
    let condense = format!("condense {TINY} --images cifar10-sample --out x.learngene");
    let args = format!("{condense} --clusters b");
    check(&args, &["--clusters", "cannot be used with", "--images"]);
    for flag in ["--paper", "--eps 1", "--ffn paper", "--refit", "--keep-projection"] {
        let name = flag.split(' ').next().expect("it begins with its name");
        let parts = ["cannot be used with", name];
        check(&format!("{condense} --max-size 1M {flag}"), &parts);
        check(&format!("{condense} --one-size {flag}"), &parts);
    }
    check("cluster --distances d.json --seed 1 --out c.json", &["--kmeans <K[,K..]>"]);
}

#[test]
fn facts_of_a_checkpoint_that_is_not_given() {
    check("expand x.learngene --arch deit --out d.safetensors", &["--checkpoint <MODEL>"]);
    let args = "train --config shape.json --num-heads 3 --data cifar10-sample --out run";
    check(args, &["'--config <FILE>'", "cannot be used with", "--num-heads"]);
}

#[test]
fn eps_and_kmeans() {
    let args = "cluster --distances d.json --eps 1 --kmeans 2 --out c.json";
    check(args, &["--kmeans", "cannot be used with", "--eps"]);
}

#[test]
fn methods_of_the_whole_ancestor_without_it() {
    for method in [
        "pretraining-finetuning",
        "heuristic-learngene",
        "auto-learngene",
        "weight-transformation",
        "weight-selection",
    ] {
        let args = format!("expand x.learngene --method {method} --out d.safetensors");
        check(&args, &["--checkpoint <MODEL>"]);
    }
    check("expand --method from-scratch --out d.safetensors", &["<LEARNGENE>"]);
}

#[test]
fn training_without_a_model() {
    check("train --data cifar10-sample --out run", &["MODEL|--config <FILE>"]);
}

#[test]
fn an_image_size_of_nothing() {
    let args = format!("probe {TINY} --images cifar10-sample --image-size 0 --out d.json");
    check(&args, &["--image-size", "`0`", "from 1 to 8192"]);
    let args = "expand x.learngene --image-size 0 --out d.safetensors";
    check(args, &["--image-size", "`0`", "from 1 to 8192"]);
}

#[test]
fn an_image_size_beyond_all_memory() {
    let args = format!("eval {TINY} --data cifar10-sample --image-size 8000000000");
    check(&args, &["--image-size", "`8000000000`", "from 1 to 8192"]);
}

#[test]
fn no_images_at_all() {
    let args = format!("probe {TINY} --images cifar10-sample --limit 0 --out d.json");
    check(&args, &["--limit", "wanted a number of at least 1, got `0`"]);
}

#[test]
fn batches_of_nothing() {
    let args = format!("probe {TINY} --images cifar10-sample --batch-size 0 --out d.json");
    check(&args, &["--batch-size", "'0'"]);
    check(&format!("eval {TINY} --data cifar10-sample --batch-size 0"), &["--batch-size", "'0'"]);
}

#[test]
fn an_unknown_device() {
    let args = format!("eval {TINY} --data cifar10-sample --device tpu:0");
    check(&args, &["--device", "unknown device `tpu:0`", "flex"]);
}

#[test]
fn an_unknown_split() {
    let args = format!("eval {TINY} --data cifar10-sample --split validation");
    check(&args, &["--split", "`validation`", "train or test"]);
}

#[test]
fn a_mean_of_two_channels() {
    let args = format!("eval {TINY} --data cifar10-sample --mean 0.5,0.5");
    check(&args, &["--mean", "`0.5,0.5`", "three numbers"]);
}

#[test]
fn a_part_of_heads_that_is_no_ratio() {
    for ratio in ["0", "-1", "nan", "inf", "1/0", "two"] {
        let args = format!("expand x.learngene --heads=x{ratio} --out d.safetensors");
        check(&args, &["--heads", ratio]);
    }
}

#[test]
fn choices_that_do_not_exist() {
    for (option, known) in [
        ("--layers", "front, even, last"),
        ("--heads", "incrementing"),
        ("--order", "priority"),
        ("--projection", "centroid"),
        ("--classifier", "inherit"),
        ("--method", "from-scratch"),
        ("--format", "hf"),
        ("--dtype", "f16"),
    ] {
        let args = format!("expand x.learngene {option} other --out d.safetensors");
        check(&args, &[option, "other", known]);
    }
    let args = "cluster --distances d.json --out c.json --noise other";
    check(args, &["--noise", "other", "singleton, nearest, drop"]);
    let args = "cluster --distances d.json --out c.json --representative other";
    check(args, &["--representative", "other", "nearest, mean"]);
    let args = format!("probe {TINY} --images cifar10-sample --out d.json --convention other");
    check(&args, &["--convention", "other", "renormalized, published"]);
}

#[test]
fn a_dataset_that_cannot_be_fetched() {
    let offered = "[possible values: cifar10, cifar100, fashion_mnist, mnist]";
    check("data fetch imagenett", &["imagenett", offered]);
    let parts = ["image-net.org", "cache/imagenet as train/WNID/*.JPEG, val/WNID/*.JPEG"];
    let bench = Workbench::new();
    bench.check("data fetch imagenet", &parts);
    bench.write("cache/imagenet/train/n01440764/a.JPEG", "an image");
    for name in ["imagenet", "cifar10-sample"] {
        let said = bench.succeed(&format!("data fetch {name}"));
        assert_eq!(said, format!("{name} is here already\n"));
    }
}

#[test]
fn a_manifest_that_does_not_exist() {
    check("data check cifar10-sample --as mnits", &["--as", "mnits", "mnist"]);
}

#[test]
fn bad_images_neither_refused_nor_skipped() {
    for text in ["ignore", "skip:", "skip:-1", "refuse:2"] {
        let args = format!("eval {TINY} --data cifar10-sample --bad-images {text}");
        check(&args, &["--bad-images", "wanted refuse, skip, or skip:N", text]);
    }
}

/// Each is taken for the value of its option, not for a flag; those that fractions may be are refused
/// where they are used.
#[test]
fn whole_numbers_below_zero() {
    let train = format!("train {TINY} --data cifar10-sample --out run --transform-ffn low-rank");
    for flag in ["--epochs", "--batch-size", "--seed", "--transform-epochs", "--num-heads"] {
        let args = train.replace("--num-heads 3", "");
        check(
            &format!("{args} {flag} -1"),
            &[flag, "wanted a whole number of 0 or more, got `-1`"],
        );
    }
    for flag in ["--micro-batch-size", "--workers"] {
        check(&format!("{train} {flag} -1"), &[flag, "wanted a number of at least 1, got `-1`"]);
    }
    for flag in ["--batch-size", "--k"] {
        let args = format!("eval {TINY} --data cifar10-sample {flag} -1");
        check(&args, &[flag, "wanted a number of at least 1, got `-1`"]);
    }
    let expand = "expand x.learngene --out d.safetensors";
    for flag in ["--num-classes", "--embed-dim", "--inherited-layers", "--shared-layers", "--seed"]
    {
        let parts = [flag, "wanted a whole number of 0 or more, got `-1`"];
        check(&format!("{expand} {flag} -1"), &parts);
    }
    for got in ["-1", "-1,2"] {
        for flag in ["--layers", "--heads", "--depth"] {
            check(&format!("{expand} {flag} {got}"), &[flag, got, "expected"]);
        }
    }
    let attention = format!("inspect {TINY} --attention a.png --out maps.json --layers -1,2");
    check(&attention, &["--layers", "wanted a whole number of 0 or more, got `-1`"]);
    for bench in ["bench", "bench scaling"] {
        for iterations in ["0", "-1"] {
            let got = format!("wanted a number of at least 1, got `{iterations}`");
            check(&format!("{bench} --iterations {iterations}"), &["--iterations", &got]);
        }
    }
    check("data check cifar10-sample --show -1", &["--show", "wanted a whole number"]);
    let show = "data show cifar10-sample --augmented --out a.png";
    check(&format!("{show} --image-size -1"), &["--image-size", "wanted a whole number"]);
    for flag in ["--images", "--epochs"] {
        check(&format!("{show} {flag} -1"), &[flag, "wanted a number of at least 1"]);
    }
}

/// The format does not follow the name, so a name of another one is refused.
#[test]
fn names_of_another_format() {
    for (args, flag, wanted, got) in [
        (format!("probe {TINY} --images cifar10-sample"), "--out", "json", "d.csv"),
        ("cluster --distances d.json".into(), "--out", "json", "c.txt"),
        (format!("condense {TINY} --distances d.json"), "--out", "learngene", "x.safetensors"),
        ("expand x.learngene".into(), "--out", "safetensors", "d.pth"),
        (format!("export {TINY}"), "--out", "safetensors", "d.bin"),
        (format!("forward {TINY} --input x.safetensors"), "--out", "safetensors", "y.npz"),
        (format!("inspect {TINY} --attention cifar10-sample:3"), "--out", "json", "maps.png"),
        ("data show cifar10-sample".into(), "--out", "png", "sheet.jpg"),
        ("report report.json".into(), "--out", "html", "report.pdf"),
        ("inspect x.learngene".into(), "--svg", "svg", "x.png"),
    ] {
        let wanted = format!("wanted a name that ends in .{wanted} for ");
        check(&format!("{args} {flag} {got}"), &[flag, &wanted, &format!("got `{got}`")]);
    }
}

#[test]
fn texts_for_numbers() {
    let train = format!("train {TINY} --data cifar10-sample --out run");
    for flag in ["--lr", "--warmup-epochs", "--hold-out", "--fraction"] {
        check(&format!("{train} {flag} much"), &[flag, "wanted a number, got `much`"]);
    }
    let eval = format!("eval {TINY} --data cifar10-sample --frozen linear --ridge much");
    check(&eval, &["--ridge", "wanted a number, got `much`"]);
}

#[test]
fn ranks_of_nothing_or_beyond_any_use() {
    let train = format!("train {TINY} --data cifar10-sample --out run");
    for flag in ["--transform-ffn", "--transform-heads"] {
        for got in ["low-rank:0", "low-rank:100000"] {
            check(&format!("{train} {flag} {got}"), &[flag, "1024", got]);
        }
    }
}

#[test]
fn settings_of_what_is_not_done() {
    let eval = format!("eval {TINY} --data cifar10-sample");
    for flag in ["--k 5", "--ridge 3", "--pool avg"] {
        check(&format!("{eval} {flag}"), &["--frozen"]);
    }
    let condense = format!("condense {TINY} --images cifar10-sample --out x.learngene --seed 5");
    check(&condense, &["--kmeans"]);
    check(&format!("{condense} --eps 1"), &["--seed", "cannot be used with", "--eps"]);
}

#[cfg(not(feature = "dashboard"))]
#[test]
fn a_dashboard_that_is_not_built_in() {
    let args = format!("train {TINY} --data cifar10-sample --out run --dashboard");
    Workbench::new().check(&args, &["--dashboard is not in this", "--features dashboard"]);
}

#[cfg(not(feature = "remote"))]
#[test]
fn a_server_that_is_not_built_in() {
    for args in ["serve", "serve --device cuda:0 --address 0.0.0.0:3000", "serve --help"] {
        Workbench::new().check(args, &["serve is not in this", "--features remote"]);
    }
}
