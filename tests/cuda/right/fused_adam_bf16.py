import torch
from torch import nn
torch.manual_seed(0)
net = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2, enable_nested_tensor=False).cuda()
head = nn.Linear(32, 5).cuda()
optimizer = torch.optim.AdamW([*net.parameters(), *head.parameters()], 1e-3, fused=True)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=20)
x, y = torch.randn(8, 10, 32, device="cuda"), torch.randint(5, (8,), device="cuda")
for step in range(20):
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = nn.functional.cross_entropy(head(net(x).mean(1)), y)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_([*net.parameters(), *head.parameters()], 1.0)
    optimizer.step()
    schedule.step()
print(round(loss.item(), 1))
