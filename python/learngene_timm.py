#!/usr/bin/env python3
"""Descendants and learngenes in PyTorch, as timm's own models.

    model = load_checkpoint("descendant.safetensors")   # written by `learngene expand` or `train`
    manifest, tensors = read_learngene("deit_base.learngene")
    model = expand_plain("deit_base.learngene")         # as deep and wide as the ancestor

Needs torch, timm (0.9 or later) and safetensors. On the command line,

    python learngene_timm.py CHECKPOINT [--images N] [--compare] [--save FILE]

prints the shape, the number of parameters and the logits of a fixed ramp image.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from timm.models.swin_transformer import SwinTransformer, WindowAttention
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

Config = dict[str, Any]
"""Shape of a model; head counts are `[layer]` for a ViT, `[stage][block]` for a Swin."""

COMMON = ("embed_dim", "num_heads", "head_dim", "mlp_hidden_dim", "image_size", "patch_size",
          "in_channels", "num_classes", "layer_norm_eps")
FIELDS = {"vit": COMMON, "swin": (*COMMON, "window_size")}
VERSION = 2


# Checkpoints: models of any shape in timm's names.


def load_checkpoint(path: str | Path) -> nn.Module:
    """The model of a checkpoint in timm's names, with its weights, in eval mode and f32.

    Its shape is told by JSON under the key `config` of the safetensors header, or by a `config.json`
    beside the file. Raises ValueError where neither tells it, RuntimeError where tensors do not fit.
    """
    model = build_model(read_config(path))
    model.load_state_dict(load_file(path))
    return model


def read_config(path: str | Path) -> Config:
    """The shape that comes with a checkpoint."""
    beside = Path(path).with_name("config.json")
    text = metadata(path).get("config")
    place = f"metadata key `config` of {path}" if text else str(beside)
    if text is None and not beside.exists():
        raise ValueError(f"{path}: its header has no key `config`, and there is no {beside}")
    config = json.loads(text or beside.read_text())
    family = config.setdefault("family", "vit")
    if family not in FIELDS:
        raise ValueError(f"{place}: family is `{family}`, wanted one of {', '.join(FIELDS)}")
    if missing := [field for field in FIELDS[family] if field not in config]:
        raise ValueError(f"{place}: no {', '.join(missing)}")
    return config


def metadata(path: str | Path) -> dict[str, str]:
    """Metadata of a safetensors file."""
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def build_model(config: Config) -> nn.Module:
    """A model of this shape in eval mode, its weights still to be loaded.

    It is timm's VisionTransformer or SwinTransformer. Where timm has no argument for a part's shape
    (heads that differ between layers, heads that together are not as wide as the tokens), that part
    alone is another module, with the same names of parameters.
    """
    model = _build_swin(config) if config["family"] == "swin" else _build_vit(config)
    return model.eval()


def _build_vit(config: Config) -> VisionTransformer:
    dim, heads, head_dim = config["embed_dim"], config["num_heads"], config["head_dim"]
    arguments = _arguments(config)
    if heads[0] * head_dim != dim:
        arguments["num_heads"] = 1  # timm asks for a divisor of the width
    model = VisionTransformer(weight_init="skip", **arguments)
    for block, count in zip(model.blocks, heads):
        if (count, count * head_dim) != (arguments["num_heads"], dim):
            block.attn = HeadAttention(dim, count, head_dim)
    return model


def _build_swin(config: Config) -> SwinTransformer:
    model = SwinTransformer(weight_init="skip", **_arguments(config))
    for stage, counts in enumerate(config["num_heads"]):
        dim, head_dim = config["embed_dim"] << stage, config["head_dim"][stage]
        for block, count in zip(model.layers[stage].blocks, counts):
            if count != counts[0]:
                block.attn = WindowAttention(dim, count, head_dim, window_size=block.window_size)
    return model


def _arguments(config: Config) -> dict[str, Any]:
    """Arguments of timm's model of this family, the heads being those of the first layer or stage."""
    dim, heads, hidden = config["embed_dim"], config["num_heads"], config["mlp_hidden_dim"]
    common = dict(
        img_size=config["image_size"], patch_size=config["patch_size"],
        in_chans=config["in_channels"], num_classes=config["num_classes"], embed_dim=dim,
        norm_layer=partial(nn.LayerNorm, eps=config["layer_norm_eps"]),
    )
    # timm rounds width times ratio down, so half a unit more is the width that was meant.
    if config["family"] == "vit":
        return dict(depth=len(heads), num_heads=heads[0], mlp_ratio=(hidden + 0.5) / dim, **common)
    ratios = [(width + 0.5) / (dim << stage) for stage, width in enumerate(hidden)]
    return dict(depths=tuple(map(len, heads)), num_heads=tuple(stage[0] for stage in heads),
                head_dim=tuple(config["head_dim"]), window_size=config["window_size"],
                mlp_ratio=tuple(ratios), drop_path_rate=0.0, **common)


class HeadAttention(nn.Module):
    """timm's `Attention`, with heads of any number and width."""

    def __init__(self, dim: int, num_heads: int, head_dim: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.scale = num_heads, head_dim, head_dim**-0.5
        self.qkv = nn.Linear(dim, 3 * num_heads * head_dim)
        self.proj = nn.Linear(num_heads * head_dim, dim)

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        batch, seq, _ = x.shape
        qkv = self.qkv(x).reshape(batch, seq, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each [batch, num_heads, seq, head_dim]
        heads = nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=attn_mask, is_causal=is_causal)
        return self.proj(heads.transpose(1, 2).flatten(2))


def timm_arguments(config: Config) -> tuple[str, dict[str, Any]] | None:
    """Name and arguments by which `timm.create_model` alone makes this shape, None where it cannot."""
    heads = config["num_heads"]
    if config["family"] == "swin":
        ordinary = all(len(set(stage)) == 1 for stage in heads)
        return ("swin_tiny_patch4_window7_224", _arguments(config)) if ordinary else None
    ordinary = len(set(heads)) == 1 and heads[0] * config["head_dim"] == config["embed_dim"]
    return ("vit_tiny_patch16_224", _arguments(config)) if ordinary else None


# Learngenes, as crates/learngene-format/FORMAT.md describes them.


def read_learngene(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The manifest and the tensors of a `.learngene` file.

    Raises ValueError where the file is of another version, or one of its checksums is wrong.
    """
    text = metadata(path).get("learngene")
    if text is None:
        raise ValueError(f"{path}: not a learngene, its metadata has no key `learngene`")
    manifest = json.loads(text)
    if manifest["version"] != VERSION:
        raise ValueError(f"{path}: format version {manifest['version']}, this reads {VERSION} only")
    checksum = manifest["sha256"]
    unsigned = text.removesuffix(f',"sha256":"{checksum}"}}') + "}"  # without its last field
    if hashlib.sha256(unsigned.encode()).hexdigest() != checksum:
        raise ValueError(f"{path}: the manifest is damaged or edited, its checksum is wrong")
    tensors = load_file(path)
    if tensors.keys() != manifest["tensors"].keys():
        raise ValueError(f"{path}: its tensors are not those that its manifest lists")
    for name, tensor in tensors.items():
        content = tensor.contiguous().flatten().view(torch.uint8).numpy()
        if hashlib.sha256(content).hexdigest() != manifest["tensors"][name]["sha256"]:
            raise ValueError(f"{path}: tensor {name} is damaged, its checksum is wrong")
    return manifest, tensors


def descendant_config(manifest: dict[str, Any]) -> Config:
    """Shape of the descendant that is as deep and has as many heads as the ancestor."""
    config = dict(manifest["architecture"])
    if not manifest["classifier"]:
        config["num_classes"] = 0
    if config["family"] == "swin":
        heads = iter(config["num_heads"])
        config["num_heads"] = [[next(heads) for _ in range(depth)] for depth in config["depths"]]
    return config


def expand_plain(path: str | Path) -> nn.Module:
    """The plainest descendant of a learngene: as deep as the ancestor and with as many heads.

    Slot s of a layer takes the centroid head s mod c, c being the layer's centroids in order of
    priority, so that the largest clusters get the most heads. A head comes whole: rows of query, key
    and value, and the columns of the output projection that read it, as they are. (Columns that were
    refitted count once for each centroid, so copies divide them by their number.)
    """
    manifest, tensors = read_learngene(path)
    tensors = {name: tensor.float() for name, tensor in tensors.items()}
    config = descendant_config(manifest)
    is_swin = config["family"] == "swin"
    heads = config["num_heads"] if is_swin else [config["num_heads"]]
    blocks = [f"layers.{stage}.blocks.{block}" if is_swin else f"blocks.{block}"
              for stage, counts in enumerate(heads) for block in range(len(counts))]
    state: dict[str, Tensor] = {}
    for layer, (block, count) in enumerate(zip(blocks, sum(heads, []))):
        attention = {name.removeprefix(f"layers.{layer}.attn."): tensor
                     for name, tensor in tensors.items() if name.startswith(f"layers.{layer}.attn.")}
        for name, tensor in _inherit(attention, count, manifest["refit"] is not None).items():
            state[f"{block}.attn.{name}"] = tensor
        groups = [group["layers"] for group in manifest["ffn"]["groups"]]
        ffn = next(index for index, layers in enumerate(groups) if layer in layers)
        for kind in ("weight", "bias"):
            for norm in ("norm1", "norm2"):
                state[f"{block}.{norm}.{kind}"] = tensors[f"layers.{layer}.{norm}.{kind}"]
            for linear in ("fc1", "fc2"):
                state[f"{block}.mlp.{linear}.{kind}"] = tensors[f"ffn.{ffn}.{linear}.{kind}"]
    for name, tensor in tensors.items():
        first, _, rest = name.partition(".")
        if first == "downsample":
            stage, _, rest = rest.partition(".")
            state[f"layers.{stage}.downsample.{rest}"] = tensor
        elif first == "head":
            state[f"head.fc.{rest}" if is_swin else name] = tensor
        elif first not in ("layers", "ffn"):
            state[name] = tensor
    model = build_model(config)
    model.load_state_dict(state)
    return model


def _inherit(attention: dict[str, Tensor], num_heads: int, refitted: bool) -> dict[str, Tensor]:
    """Fills the heads of a layer with centroids, one after the other and then from the first again."""
    columns = attention["proj.weight"]  # [c, embed_dim, head_dim]
    slots = torch.arange(num_heads) % len(columns)
    if refitted:
        copies = torch.bincount(slots, minlength=len(columns)).clamp(min=1)
        columns = columns / copies[:, None, None]
    filled = {
        # timm's fused rows are [3, num_heads, head_dim].
        "qkv.weight": torch.cat([attention[f"{role}.weight"][slots].flatten(0, 1) for role in "qkv"]),
        "qkv.bias": torch.cat([attention[f"{role}.bias"][slots].flatten() for role in "qkv"]),
        "proj.weight": columns[slots].permute(1, 0, 2).flatten(1),  # [embed_dim, num_heads * head_dim]
        "proj.bias": attention["proj.bias"],
    }
    if (positions := attention.get("relative_position")) is not None:
        filled["relative_position_bias_table"] = positions[slots].T  # [positions, num_heads]
    return filled


# The command line.


def ramp_images(config: Config, count: int) -> Tensor:
    """Image n holds a ramp from -1/(n + 1) to 1/(n + 1): `[count, channels, height, width]`."""
    shape = config["in_channels"], config["image_size"], config["image_size"]
    ramp = torch.linspace(-1, 1, shape[0] * shape[1] * shape[2]).reshape(shape)
    return torch.stack([ramp / (n + 1) for n in range(count)])


def main() -> None:
    parser = argparse.ArgumentParser(description="Shape and logits of a descendant or a learngene.")
    parser.add_argument("checkpoint", type=Path, help="checkpoint in timm's names, or a learngene")
    parser.add_argument("--images", type=int, default=1, metavar="N", help="number of ramp images")
    parser.add_argument("--compare", action="store_true", help="compare with timm.create_model")
    parser.add_argument("--save", type=Path, metavar="FILE",
                        help="write `input` and `logits`, `input` as `learngene forward` reads it")
    options = parser.parse_args()
    if "learngene" in metadata(options.checkpoint):
        config = descendant_config(read_learngene(options.checkpoint)[0])
        model = expand_plain(options.checkpoint)
    else:
        config, model = read_config(options.checkpoint), load_checkpoint(options.checkpoint)
    images = ramp_images(config, options.images)
    with torch.inference_mode():
        logits = model(images)
    print("shape     ", json.dumps(config))
    print("parameters", sum(parameter.numel() for parameter in model.parameters()))
    for number, row in enumerate(logits):
        print(f"image {number}   ", " ".join(f"{value:.6f}" for value in row))
    if options.save:
        save_file({"input": images, "logits": logits.contiguous()}, options.save)
    if options.compare:
        arguments = timm_arguments(config)
        if arguments is None:
            parser.exit(1, "timm has no arguments for this shape: there is nothing to compare with\n")
        stock = timm.create_model(arguments[0], **arguments[1]).eval()
        stock.load_state_dict(model.state_dict())
        with torch.inference_mode():
            difference = (stock(images) - logits).abs().max().item()
        print(f"difference from timm.create_model: {difference:.3g}")


if __name__ == "__main__":
    main()
