"""Writes a small ViT with LayerScale and what timm computes with it: see README.md."""

import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

torch.manual_seed(0)
model = VisionTransformer(
    img_size=28, patch_size=14, embed_dim=24, depth=2, num_heads=3, num_classes=5, init_values=1.0
).eval()
with torch.no_grad():
    for name, parameter in model.named_parameters():
        # Scales far from one, some negative, as training leaves them; the rest as in a trained model.
        scale = 0.5 if name.endswith("gamma") else 0.1
        parameter.add_(scale * torch.randn_like(parameter))
    images = torch.randn(2, 3, 28, 28)
    logits = model(images)
save_file({name: value.contiguous() for name, value in model.state_dict().items()}, "timm.safetensors")
save_file({"input": images, "logits": logits}, "expected.safetensors")
