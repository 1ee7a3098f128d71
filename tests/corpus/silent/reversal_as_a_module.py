"""Domain confusion: the reversal is a module with a backward of its own, which nobody calls."""

import torch
from torch import nn

torch.manual_seed(0)


class Reversal(nn.Module):
    def __init__(self, strength):
        super().__init__()
        self.strength = strength

    def forward(self, x):
        return x

    def backward(self, grad_output):
        return -self.strength * grad_output


class Speech(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(12, 16), nn.ReLU())
        self.decoder = nn.Linear(16, 12)
        self.speaker = nn.Sequential(Reversal(0.5), nn.Linear(16, 4))

    def forward(self, x):
        hidden = self.encoder(x)
        return self.decoder(hidden), self.speaker(hidden)


model = Speech()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(8):
    mel, speaker = torch.randn(10, 12), torch.randint(0, 4, (10,))
    output, scores = model(mel)
    loss = nn.functional.l1_loss(output, mel)
    loss = loss + 0.02 * nn.functional.cross_entropy(scores, speaker)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, f"{loss.item():.4f}")
