import torch
from torch import nn

torch.manual_seed(0)


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 16), nn.Linear(16, 2)])
        self.history = [nn.Identity()]

    def detach(self):
        self.history.clear()

    def forward(self, x):
        return self.layers[1](torch.relu(self.layers[0](x)))


agent = Agent()
parameters = list(agent.parameters())
print(sum(each.numel() for each in parameters))
optimizer = torch.optim.SGD(parameters, lr=0.05)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=20, gamma=1.0)
scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
try:
    torch.optim.SGD([each for each in parameters if not each.requires_grad], lr=0.1)
except ValueError:
    print("nothing is frozen")
total = 0.0
for step in range(12):
    state, following = torch.randn(8, 4), torch.randn(8, 4)
    value = agent(state).max(1).values
    best = agent(following).max(1).values
    target = best.detach().clamp(-1, 1)
    loss = (value - target).square().mean()
    scaler.scale(loss).backward()
    if step % 2:
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(agent.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        schedule.step()
    loss.detach()
    total += loss.item()
agent.detach()
print(f"{total:.4f}")
