#!/usr/bin/env python3
"""What a user would run instead: the same workloads in PyTorch, one JSON line each.

    python3 -m venv venv-torch && venv-torch/bin/pip install torch timm
    venv-torch/bin/python benches/pytorch_baseline.py [--shape micro|nano|deit_small|swin_tiny] [--iters 5]
        [--device cuda]

Workloads: train_step (forward, cross-entropy, backward, AdamW), forward, probe_published (the published
way: every block's attention computed beside the block, maps copied to numpy and multiplied there in
float64), probe_fused (one pass, reduced where it is computed). Median over iters, after one warm-up.
swin_tiny has train_step and forward: nothing was published that probes a Swin.
"""
import argparse, json, statistics, time
import numpy as np, torch
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer

SHAPES = {  # img, patch, dim, depth, heads, batch, classes
    "nano": (32, 4, 96, 12, 6, 64, 10),
    "micro": (32, 4, 192, 12, 3, 64, 10),
    "deit_small": (224, 16, 384, 12, 6, 4, 1000),
    "swin_tiny": (224, 4, 96, (2, 2, 6, 2), (3, 6, 12, 24), 4, 1000),
}

def timed(f, iters, device):
    # A GPU works on after a call has returned.
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    f(); wait(); t = []
    for _ in range(iters):
        s = time.perf_counter(); f(); wait(); t.append(time.perf_counter() - s)
    return statistics.median(t)

def attention(blk, y):
    b, n, c = y.shape; h = blk.attn.num_heads
    q, k, _ = blk.attn.qkv(y).reshape(b, n, 3, h, c // h).permute(2, 0, 3, 1, 4)
    return ((q * (c // h) ** -0.5) @ k.transpose(-2, -1)).softmax(-1)

def main():
    p = argparse.ArgumentParser(); p.add_argument("--shape", default="micro", choices=SHAPES); p.add_argument("--iters", type=int, default=5)
    p.add_argument("--workloads", default="train_step,forward,probe_published,probe_fused")
    p.add_argument("--device", default="cpu"); a = p.parse_args()
    img, patch, dim, depth, heads, batch, classes = SHAPES[a.shape]
    torch.manual_seed(0)
    if a.shape.startswith("swin"):
        if "probe" in a.workloads: p.error(f"{a.shape} has train_step and forward")
        m = SwinTransformer(img_size=img, patch_size=patch, embed_dim=dim, depths=depth, num_heads=heads, window_size=7, num_classes=classes, drop_path_rate=0)
    else:
        m = VisionTransformer(img_size=img, patch_size=patch, embed_dim=dim, depth=depth, num_heads=heads, num_classes=classes)
    m = m.to(a.device)
    opt = torch.optim.AdamW(m.parameters(), lr=1e-3, weight_decay=0.05)
    x = torch.randn(batch, 3, img, img).to(a.device); y = torch.randint(0, classes, (batch,)).to(a.device)
    grid = img // patch
    c = np.stack(np.meshgrid(np.arange(grid), np.arange(grid), indexing="ij"), -1).reshape(-1, 2).astype(float)
    dist = np.linalg.norm(c[:, None] - c[None], axis=-1) * patch; dist_t = torch.tensor(dist, dtype=torch.float32, device=a.device)

    def train_step():
        m.train(); opt.zero_grad(); torch.nn.functional.cross_entropy(m(x), y).backward(); opt.step()
    @torch.no_grad()
    def forward():
        m.eval(); m(x)
    @torch.no_grad()
    def tokens():
        m.eval(); return m.norm_pre(m._pos_embed(m.patch_embed(x)))
    @torch.no_grad()
    def probe_published():
        h = tokens(); out = []
        for b in m.blocks:
            att = attention(b, b.norm1(h))[..., 1:, 1:]; h = b(h)
            out.append(np.mean(np.sum(att.cpu().numpy() * dist, -1), -1))
        return out
    @torch.no_grad()
    def probe_fused():
        h = tokens(); out = []
        for b in m.blocks:
            yn = b.norm1(h); att = attention(b, yn); v = b.attn.qkv(yn).reshape(batch, -1, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)[2]
            h = h + b.attn.proj((att @ v).transpose(1, 2).reshape(batch, -1, dim)); h = h + b.mlp(b.norm2(h))
            s = att[..., 1:, 1:]; out.append(((s / s.sum(-1, keepdim=True)) * dist_t).sum(-1).mean((-1, 0)))
        return torch.stack(out)
    for w in a.workloads.split(","):
        s = timed(locals()[w], a.iters, a.device)
        print(json.dumps({"framework": f"pytorch {torch.__version__}", "device": a.device, "threads": torch.get_num_threads(), "workload": w, "shape": a.shape,
                          "batch": batch, "ms": round(s * 1e3, 2), "images_per_second": round(batch / s, 2)}), flush=True)
main()
