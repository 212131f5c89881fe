"""Writes resampled.safetensors: position embeddings before and after timm's interpolation."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed

EMBED_DIM = 3
GRIDS = {5: [1, 2, 7], 14: [4, 9, 16, 24]}

torch.manual_seed(0)
tensors = {}
for old, sizes in GRIDS.items():
    positions = torch.randn(1, 1 + old * old, EMBED_DIM)
    tensors[f"{old}"] = positions
    for new in sizes:
        tensors[f"{old}_to_{new}"] = resample_abs_pos_embed(positions, [new, new]).contiguous()
save_file(tensors, Path(__file__).with_name("resampled.safetensors"))
