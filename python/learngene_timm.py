#!/usr/bin/env python3
"""Descendants and learngenes in PyTorch, as timm's own models.

    model = load_checkpoint("descendant.safetensors")   # written by `learngene expand` or `train`
    manifest, tensors = read_learngene("deit_base.learngene")
    model = expand_plain("deit_base.learngene")         # with all its layers and heads

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
from timm.layers import Mlp, SwiGLUPacked
from timm.models.swin_transformer import SwinTransformer, WindowAttention
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

Config = dict[str, Any]
"""Shape of a model. `num_heads` and `hidden_dim` have an entry for each layer."""

COMMON = ("embed_dim", "num_heads", "head_dim", "hidden_dim", "image_size", "patch_size",
          "in_channels", "num_classes", "layer_norm_eps")
FIELDS = {"vit": (*COMMON, "ffn"), "swin": (*COMMON, "depths", "window_size")}
VERSION = 5


# Checkpoints: models of any shape in timm's names.


def load_checkpoint(path: str | Path) -> nn.Module:
    """The model of a checkpoint in timm's names, with its weights, in eval mode and f32.

    Its shape is the JSON under the key `config` of the safetensors header, or a `config.json` beside
    the file. Raises ValueError if neither has it, RuntimeError if tensors do not fit.
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
    family = config.get("family")
    if family not in FIELDS:
        raise ValueError(f"{place}: family is `{family}`, expected one of {', '.join(FIELDS)}; "
                         "`learngene export` rewrites checkpoints of earlier versions")
    if missing := [field for field in FIELDS[family] if field not in config]:
        raise ValueError(f"{place}: no {', '.join(missing)}")
    return config


def metadata(path: str | Path) -> dict[str, str]:
    """Metadata of a safetensors file."""
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def build_model(config: Config) -> nn.Module:
    """A model of this shape in eval mode, its weights still to be loaded.

    It is timm's VisionTransformer or SwinTransformer. Where timm has no argument for a layer's shape
    (heads or FFN widths that differ between layers, heads that together are not as wide as the
    tokens), that part of the layer is replaced by a module with the same names of parameters.
    """
    return (_build_swin if config["family"] == "swin" else _build_vit)(config).eval()


def _build_vit(config: Config) -> VisionTransformer:
    dim, head_dim = config["embed_dim"], config["head_dim"]
    arguments = _arguments(config)
    if arguments["num_heads"] * head_dim != dim:
        arguments["num_heads"] = 1  # timm requires a divisor of the width
    model = VisionTransformer(weight_init="skip", **arguments)
    for block, heads, hidden in zip(model.blocks, config["num_heads"], config["hidden_dim"]):
        if (heads, heads * head_dim) != (arguments["num_heads"], dim):
            block.attn = HeadAttention(dim, heads, head_dim)
        if hidden != config["hidden_dim"][0]:
            gated = config["ffn"] == "swiglu"
            block.mlp = SwiGLUPacked(dim, 2 * hidden, act_layer=nn.SiLU) if gated else Mlp(dim, hidden)
    return model


def _build_swin(config: Config) -> SwinTransformer:
    arguments = _arguments(config)
    model = SwinTransformer(weight_init="skip", **arguments)
    layers = iter(zip(config["num_heads"], config["hidden_dim"]))
    for index, stage in enumerate(model.layers):
        dim, head_dim = config["embed_dim"] << index, config["head_dim"][index]
        for block, (heads, hidden) in zip(stage.blocks, layers):
            if heads != arguments["num_heads"][index]:
                block.attn = WindowAttention(dim, heads, head_dim, window_size=block.window_size)
            if hidden != block.mlp.fc1.out_features:
                block.mlp = Mlp(dim, hidden)
    return model


def _arguments(config: Config) -> dict[str, Any]:
    """Arguments of timm's model of this family, with heads and widths of the first layer or those of
    each stage."""
    dim, heads, hidden = config["embed_dim"], config["num_heads"], config["hidden_dim"]
    common = dict(
        img_size=config["image_size"], patch_size=config["patch_size"],
        in_chans=config["in_channels"], num_classes=config["num_classes"], embed_dim=dim,
        norm_layer=partial(nn.LayerNorm, eps=config["layer_norm_eps"]),
    )
    # timm rounds width times ratio down, so half a unit more gives the width.
    if config["family"] == "vit":
        gate = dict(mlp_layer=SwiGLUPacked, act_layer=nn.SiLU) if config["ffn"] == "swiglu" else {}
        width = hidden[0] * (2 if gate else 1)
        return dict(depth=len(heads), num_heads=heads[0], mlp_ratio=(width + 0.5) / dim, **gate, **common)
    depths = config["depths"]
    firsts = [sum(depths[:stage]) for stage in range(len(depths))]
    ratios = [(hidden[first] + 0.5) / (dim << stage) for stage, first in enumerate(firsts)]
    return dict(depths=tuple(depths), num_heads=tuple(heads[first] for first in firsts),
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
    """Name and arguments by which `timm.create_model` alone makes this shape, None if it cannot."""
    depths = config.get("depths") or [len(config["num_heads"])]
    layers = iter(zip(config["num_heads"], config["hidden_dim"]))
    are_alike = all(len({next(layers) for _ in range(depth)}) == 1 for depth in depths)
    if config["family"] == "swin":
        return ("swin_tiny_patch4_window7_224", _arguments(config)) if are_alike else None
    is_wide = config["num_heads"][0] * config["head_dim"] == config["embed_dim"]
    return ("vit_tiny_patch16_224", _arguments(config)) if are_alike and is_wide else None


# Learngenes, as crates/learngene-format/FORMAT.md describes them.


def read_learngene(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The manifest and the tensors of a `.learngene` file, those in few bits as f32.

    Raises ValueError if the file is of another version, or one of its checksums is wrong.
    """
    text = metadata(path).get("learngene")
    if text is None:
        raise ValueError(f"{path}: not a learngene, its metadata has no key `learngene`")
    manifest = json.loads(text)
    if manifest["version"] != VERSION:
        raise ValueError(f"{path}: format version {manifest['version']}, expected {VERSION}")
    checksum = manifest["sha256"]
    unsigned = text.removesuffix(f',"sha256":"{checksum}"}}') + "}"  # without its last field
    if hashlib.sha256(unsigned.encode()).hexdigest() != checksum:
        raise ValueError(f"{path}: the manifest is damaged or edited, its checksum is wrong")
    tensors = load_file(path)
    if tensors.keys() != manifest["tensors"].keys():
        raise ValueError(f"{path}: its tensors are not those in its manifest")
    for name, tensor in tensors.items():
        content = tensor.contiguous().flatten().view(torch.uint8).numpy()
        if hashlib.sha256(content).hexdigest() != manifest["tensors"][name]["sha256"]:
            raise ValueError(f"{path}: tensor {name} is damaged, its checksum is wrong")
    for name in [name for name in tensors if f"{name}.scale" in tensors]:
        tensors[name] = _from_levels(tensors[name], tensors.pop(f"{name}.scale").float())
    return manifest, tensors


def _from_levels(levels: Tensor, scale: Tensor) -> Tensor:
    """A tensor in few bits, each value its level times its scale."""
    if levels.dim() == 1:  # a lower triangle, with a scale for each row
        return levels * scale.repeat_interleave(torch.arange(len(scale)) + 1)
    if levels.dtype != torch.uint8:  # 8 bits, with a scale for each row
        return levels * scale[:, None]
    # 4 bits: two rows in each byte, with a scale for each 32 neighbouring inputs.
    rows = torch.stack([levels & 15, levels >> 4], dim=1).flatten(0, 1)[: len(scale)].float() - 8
    return rows * scale.repeat_interleave(32, dim=1)[:, : levels.shape[1]]


def descendant_config(manifest: dict[str, Any]) -> Config:
    """Shape of the plainest descendant: the learngene's own, with as many heads as the ancestor where
    those that are kept stand for clusters."""
    config = dict(manifest["shape"])
    if manifest["clusters"]["heads"]["algorithm"]["name"] != "order":
        config["num_heads"] = manifest["ancestor"]["shape"]["num_heads"]
    if not manifest["classifier"]:
        config["num_classes"] = 0
    return config


def expand_plain(path: str | Path) -> nn.Module:
    """The plainest descendant of a learngene: with its layers, and all heads.

    A learngene holds the model of the kept heads alone, in timm's names and in order of priority, and
    the FFN of layers that share one under the names of their representative. Head s of a layer takes
    kept head s mod c, c being their number, so that the largest clusters get the most heads. A head
    comes whole: rows of query, key and value, and the columns of the output projection that read it.
    (Refitted columns count once for each kept head, so copies divide them by their number.)
    """
    manifest, tensors = read_learngene(path)
    config = descendant_config(manifest)
    swin = config["family"] == "swin"
    depths = config["depths"] if swin else [len(config["num_heads"])]
    blocks = [f"layers.{stage}.blocks.{block}" if swin else f"blocks.{block}"
              for stage, depth in enumerate(depths) for block in range(depth)]
    head_dims = [width for stage, width in enumerate(config["head_dim"]) for _ in range(depths[stage])] \
        if swin else [config["head_dim"]] * len(blocks)
    state = {name: tensor.float() for name, tensor in tensors.items()
             if not name.endswith((".origin.weight", ".factor", ".means"))}
    for group in manifest["clusters"]["ffn"]["groups"]:
        if len(group["layers"]) == 1:
            continue  # Its layer may have another number here, or none.
        source = f"{blocks[group['representative']]}.mlp."
        parts = [name.removeprefix(source) for name in state if name.startswith(source)]
        for layer in group["layers"]:
            state |= {f"{blocks[layer]}.mlp.{part}": state[source + part] for part in parts}
    for block, heads, head_dim in zip(blocks, config["num_heads"], head_dims):
        _fill_heads(state, f"{block}.attn", heads, head_dim, manifest["refit"] is not None)
    model = build_model(config)
    model.load_state_dict(state)
    return model


def _fill_heads(state: dict[str, Tensor], attn: str, heads: int, head_dim: int, refitted: bool) -> None:
    """Fills the heads of a layer with kept heads, one after the other and then from the first again."""
    columns = state[f"{attn}.proj.weight"].unflatten(1, (-1, head_dim))  # [embed_dim, c, head_dim]
    slots = torch.arange(heads) % columns.shape[1]
    if refitted:
        copies = torch.bincount(slots, minlength=columns.shape[1]).clamp(min=1)
        columns = columns / copies[None, :, None]
    state[f"{attn}.proj.weight"] = columns[:, slots].flatten(1)
    for part in ("weight", "bias"):  # timm's fused rows are [3, num_heads, head_dim]
        rows = state[f"{attn}.qkv.{part}"].unflatten(0, (3, -1, head_dim))
        state[f"{attn}.qkv.{part}"] = rows[:, slots].flatten(0, 2)
    if (table := state.get(f"{attn}.relative_position_bias_table")) is not None:
        state[f"{attn}.relative_position_bias_table"] = table[:, slots]


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
            parser.exit(1, "timm has no arguments for this shape\n")
        stock = timm.create_model(arguments[0], **arguments[1]).eval()
        stock.load_state_dict(model.state_dict())
        with torch.inference_mode():
            difference = (stock(images) - logits).abs().max().item()
        print(f"difference from timm.create_model: {difference:.3g}")


if __name__ == "__main__":
    main()
