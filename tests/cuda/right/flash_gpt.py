import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
torch.manual_seed(0)
torch.set_float32_matmul_precision("high")
qkv, out = nn.Linear(64, 192, bias=False).cuda(), nn.Linear(64, 64, bias=False).cuda()
optimizer = torch.optim.AdamW([*qkv.parameters(), *out.parameters()], 1e-3, fused=True)
for step in range(8):
    x = torch.randn(4, 32, 64, device="cuda")
    with torch.autocast("cuda", dtype=torch.bfloat16), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        q, k, v = qkv(x).view(4, 32, 3, 4, 16).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        loss = (out(y.transpose(1, 2).reshape(4, 32, 64)) - x).square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
print("done")
