"""Writes a small ViT of MLPs that differ in width and what PyTorch computes: see README.md."""

import json
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from transformers import ViTConfig, ViTForImageClassification

SIDE, PATCH, DIM, HEADS, CLASSES = 32, 8, 48, 3, 5
# Of layers that all had 192: in no order, and most no multiple of anything.
HIDDEN = [77, 29, 64, 33]
HERE = Path(__file__).parent


def build():
    """timm's model, pruned."""
    model = VisionTransformer(
        img_size=SIDE, patch_size=PATCH, embed_dim=DIM, depth=len(HIDDEN), num_heads=HEADS,
        num_classes=CLASSES, norm_layer=partial(nn.LayerNorm, eps=1e-6), weight_init="skip",
    )
    for block, hidden in zip(model.blocks, HIDDEN):
        block.mlp.fc1, block.mlp.fc2 = nn.Linear(DIM, hidden), nn.Linear(hidden, DIM)
        block.attn.fused_attn = False  # so that the weights of attention can be seen
    return model.eval()


def draw(model):
    """Random parameters, none zero, large enough that each part shows in the logits."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(centre + 0.15 * torch.randn_like(parameter))


def hugging_face(state):
    """The same parameters in transformers' model, pruned alike."""
    config = ViTConfig(
        hidden_size=DIM, num_hidden_layers=len(HIDDEN), num_attention_heads=HEADS,
        intermediate_size=4 * DIM, image_size=SIDE, patch_size=PATCH, num_labels=CLASSES,
        layer_norm_eps=1e-6, hidden_act="gelu",
    )
    model = ViTForImageClassification(config).eval()
    for layer, hidden in zip(model.vit.layers, HIDDEN):
        layer.mlp.fc1, layer.mlp.fc2 = nn.Linear(DIM, hidden), nn.Linear(hidden, DIM)
    modules = {
        "vit.embeddings.patch_embeddings.projection": "patch_embed.proj",
        "vit.layernorm": "norm", "classifier": "head",
    }
    tensors = {
        "vit.embeddings.cls_token": state["cls_token"],
        "vit.embeddings.position_embeddings": state["pos_embed"],
    }
    for layer in range(len(HIDDEN)):
        theirs, ours = f"vit.layers.{layer}", f"blocks.{layer}"
        modules |= {
            f"{theirs}.layernorm_before": f"{ours}.norm1",
            f"{theirs}.layernorm_after": f"{ours}.norm2",
            f"{theirs}.attention.o_proj": f"{ours}.attn.proj",
            f"{theirs}.mlp.fc1": f"{ours}.mlp.fc1", f"{theirs}.mlp.fc2": f"{ours}.mlp.fc2",
        }
        for kind in ("weight", "bias"):
            for role, rows in zip("qkv", state[f"{ours}.attn.qkv.{kind}"].chunk(3)):
                tensors[f"{theirs}.attention.{role}_proj.{kind}"] = rows
    for kind in ("weight", "bias"):
        tensors |= {f"{theirs}.{kind}": state[f"{ours}.{kind}"] for theirs, ours in modules.items()}
    model.load_state_dict(tensors)
    return model


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
    other = hugging_face(state)
    with TemporaryDirectory() as folder:
        other.save_pretrained(folder)  # in the names of its releases
        save_file(load_file(Path(folder) / "model.safetensors"), HERE / "hf.safetensors")
    with torch.inference_mode():
        gap = (other(images).logits - logits).abs().max().item()
    print(f"transformers' logits are {gap:.1e} from timm's")

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
            "depth": len(HIDDEN), "num_heads": HEADS, "num_classes": CLASSES, "ffn": "mlp",
            "hidden_dim": HIDDEN, "batch": 2,
        },
        "mean_attention_distance": mean_distances([weights.detach() for weights in attention]),
        "note": "mean_attention_distance[kind][layer][image][head], pixels",
    }
    (HERE / "expected.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
