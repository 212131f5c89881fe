"""Writes a small ViT of SwiGLUs that differ in width and what PyTorch computes: see README.md."""

import json
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from timm.layers import SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer
from torch import nn

SIDE, PATCH, DIM, HEADS, CLASSES = 32, 8, 48, 3, 5
# What `fc2` reads; `fc1` has twice as many rows, those of the gate first.
HIDDEN = [52, 21, 33, 28]
HERE = Path(__file__).parent


def build():
    """timm's model; it takes one ratio, so layers other than the first get their own network."""
    # timm hands its own activation, GELU, to every network where no other is asked for.
    model = VisionTransformer(
        img_size=SIDE, patch_size=PATCH, embed_dim=DIM, depth=len(HIDDEN), num_heads=HEADS,
        num_classes=CLASSES, norm_layer=partial(nn.LayerNorm, eps=1e-6), weight_init="skip",
        mlp_layer=SwiGLUPacked, act_layer=nn.SiLU, mlp_ratio=(2 * HIDDEN[0] + 0.5) / DIM,
    )
    for block, hidden in zip(model.blocks[1:], HIDDEN[1:]):
        block.mlp = SwiGLUPacked(DIM, 2 * hidden, act_layer=nn.SiLU, norm_layer=None)
    for block in model.blocks:
        block.attn.fused_attn = False  # so that the weights of attention can be seen
    return model.eval()


def draw(model):
    """Random parameters, none zero, large enough that each part shows in the logits."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(centre + 0.15 * torch.randn_like(parameter))


def mean_distances(attention):
    """Pixels between a patch and those it attends to, `{convention: [layer][image][head]}`."""
    grid = torch.arange(SIDE // PATCH, dtype=torch.float64) * PATCH
    places = torch.cartesian_prod(grid, grid)
    pixels = torch.cdist(places, places)
    found = {"renormalized": [], "published": []}
    for weights in attention:
        weights = weights.double()[:, :, 1:, 1:]  # without the class token
        whole = weights / weights.sum(-1, keepdim=True)
        found["renormalized"].append((whole * pixels).sum(-1).mean(-1).tolist())
        found["published"].append((weights * pixels).sum(-1).mean(-1).tolist())
    return found


def main():
    torch.manual_seed(0)
    model = build()
    draw(model)
    images = torch.randn(2, 3, SIDE, SIDE)
    attention = []
    for block in model.blocks:
        block.attn.attn_drop.register_forward_pre_hook(lambda _, args: attention.append(args[0]))
    logits = model(images)
    loss = nn.functional.cross_entropy(logits, torch.tensor([0, 1]))
    loss.backward()

    state = {name: value.detach().contiguous() for name, value in model.state_dict().items()}
    save_file(state, HERE / "timm.safetensors")
    torch.save({"model": state}, HERE / "deit.pth")

    expected = {
        "input": images, "logits": logits, "loss": loss.reshape(1),
        "grad_block0_qkv": model.blocks[0].attn.qkv.weight.grad, "attention_last": attention[-1],
    }
    expected |= {f"attention_layer{layer}": attention[layer] for layer in range(len(HIDDEN) - 1)}
    expected = {name: tensor.detach().contiguous() for name, tensor in expected.items()}
    save_file(expected, HERE / "expected.safetensors")
    told = {
        "config": {
            "family": "vit", "img_size": SIDE, "patch_size": PATCH, "embed_dim": DIM,
            "depth": len(HIDDEN), "num_heads": HEADS, "num_classes": CLASSES, "ffn": "swiglu",
            "hidden_dim": HIDDEN, "batch": 2,
        },
        "mean_attention_distance": mean_distances([weights.detach() for weights in attention]),
        "note": "mean_attention_distance[kind][layer][image][head], pixels",
    }
    (HERE / "expected.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
