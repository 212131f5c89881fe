#!/usr/bin/env python3
"""Images per second of the loader a user would run instead, timm's transforms for DeiT in torchvision's dataset and
PyTorch's DataLoader, in turns with ours: one JSON line each, then the ratio (above 1 where ours is faster).

    python3 -m venv venv-torch && venv-torch/bin/pip install torch torchvision timm
    cargo build --release -p learngene-datasets --example loader_speed
    venv-torch/bin/python benches/loader_baseline.py [--workers 2] [--rounds 5] [--images 256]

Both do the same to the same JPEGs of 500 x 375 pixels, made here out of the embedded sample of CIFAR-10: random resized
crop to 224 (bicubic), flip, RandAugment m9 mstd0.5 inc1, normalisation, random erasing; batches of 64. A round is one
pass of each; the ratio is that of the medians. Run it on an idle machine.
"""
import argparse, json, random, statistics, subprocess, tempfile, time
from pathlib import Path
import torch
from PIL import Image
from timm.data import auto_augment, create_transform
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

ROOT = Path(__file__).resolve().parent.parent

def make(folder, count):
    """JPEGs of 8 x 6 tiles, each enlarged twofold and cut; two classes."""
    sheet = Image.open(ROOT / "datasets/sample/train.png"); draws = random.Random(0)
    for at in range(count):
        mosaic = Image.new("RGB", (512, 384))
        for place in range(48):
            left, top = draws.randrange(50) * 32, draws.randrange(40) * 32
            tile = sheet.crop((left, top, left + 32, top + 32)).resize((64, 64), Image.Resampling.BICUBIC)
            mosaic.paste(tile, (place % 8 * 64, place // 8 * 64))
        path = folder / "ab"[at % 2] / f"{at:04}.jpg"; path.parent.mkdir(exist_ok=True)
        mosaic.crop((6, 4, 506, 379)).save(path, quality=96)

def posterize(image, bits, **_):
    """timm asks for 0 bits at magnitude 10, which Pillow 13 refuses and Pillow 12 made black."""
    return image.point(lambda value: 0) if bits == 0 else auto_augment.posterize(image, bits)

def theirs(folder, workers):
    auto_augment.NAME_TO_OP["PosterizeIncreasing"] = posterize
    transform = create_transform(224, is_training=True, color_jitter=0.3, auto_augment="rand-m9-mstd0.5-inc1",
                                 interpolation="bicubic", re_prob=0.25, re_mode="pixel")
    loader = DataLoader(ImageFolder(folder, transform), batch_size=64, num_workers=workers, persistent_workers=True)
    def a_pass():
        begun = time.perf_counter(); images = sum(len(labels) for _, labels in loader)
        speed = images / (time.perf_counter() - begun)
        return {"loader": "torchvision", "workers": workers, "images": images, "images_per_second": speed,
                "images_per_second_per_core": speed / workers}
    a_pass()
    return a_pass

def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--workers", type=int, default=2); p.add_argument("--rounds", type=int, default=5); p.add_argument("--images", type=int, default=256)
    p.add_argument("--ours", default=ROOT / "target/release/examples/loader_speed"); a = p.parse_args()
    torch.manual_seed(0); random.seed(0)
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), a.images)
        files = list(Path(folder).rglob("*.jpg"))
        print(json.dumps({"images": len(files), "mean_bytes": sum(f.stat().st_size for f in files) // len(files), "torch": torch.__version__}))
        a_pass, speeds = theirs(folder, a.workers), {"learngene": [], "torchvision": []}
        for _ in range(a.rounds):
            ours = subprocess.run([a.ours, folder, str(a.workers), "1"], check=True, capture_output=True, text=True).stdout
            for line in (json.loads(ours), a_pass()):
                speeds[line["loader"]].append(line["images_per_second"]); print(json.dumps(line), flush=True)
        medians = {name: statistics.median(found) for name, found in speeds.items()}
        print(json.dumps({**medians, "ratio": medians["learngene"] / medians["torchvision"]}))

main()
