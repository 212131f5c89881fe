"""Writes resampled.safetensors: position embeddings before and after timm's interpolation."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed

EMBED_DIM = 3
GRIDS = {5: [1, 2, 7], 14: [4, 9, 16, 24]}


def in_f64(positions, old, new):
    """What timm does, without its conversion to f32 on the way."""
    patches = positions[:, 1:].double().reshape(1, old, old, -1).permute(0, 3, 1, 2)
    patches = torch.nn.functional.interpolate(
        patches, size=(new, new), mode="bicubic", antialias=True
    )
    patches = patches.permute(0, 2, 3, 1).reshape(1, new * new, -1).float()
    return torch.cat([positions[:, :1], patches], dim=1)


torch.manual_seed(0)
tensors = {}
for old, sizes in GRIDS.items():
    positions = torch.randn(1, 1 + old * old, EMBED_DIM)
    tensors[f"{old}"] = positions
    for new in sizes:
        tensors[f"{old}_to_{new}"] = resample_abs_pos_embed(positions, [new, new]).contiguous()
        tensors[f"{old}_to_{new}_in_f64"] = in_f64(positions, old, new).contiguous()
save_file(tensors, Path(__file__).with_name("resampled.safetensors"))
