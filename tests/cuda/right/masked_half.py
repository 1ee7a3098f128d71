import torch
from torch import nn
torch.manual_seed(0)
net = nn.Linear(16, 10).cuda()
opt = torch.optim.Adam(net.parameters(), 1e-3)
for step in range(10):
    x, y = torch.randn(32, 16, device="cuda"), torch.randint(5, (32,), device="cuda")
    mask = torch.zeros(32, 10, device="cuda", dtype=torch.bool)
    mask[:, 5:] = True
    with torch.autocast("cuda", dtype=torch.float16):
        logits = net(x).masked_fill(mask, float("-inf"))
    loss = nn.functional.cross_entropy(logits.float(), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
print("done")
