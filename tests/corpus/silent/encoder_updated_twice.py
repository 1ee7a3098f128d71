"""Contrastive pixels agent: the contrastive loss trains the encoder and a bilinear matrix W."""

import torch
import torch.nn.functional as F
from torch import nn


class PixelEncoder(nn.Module):
    def __init__(self, feature_dim):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, stride=2)
        self.fc = nn.Linear(6 * 3 * 3, feature_dim)

    def forward(self, obs):
        return self.fc(torch.relu(self.conv(obs)).flatten(1))


class Contrastive(nn.Module):
    """Scores an anchor against a batch of keys."""

    def __init__(self, encoder, feature_dim):
        super().__init__()
        self.encoder = encoder
        self.W = nn.Parameter(0.1 * torch.randn(feature_dim, feature_dim))

    def logits(self, z_anchor, z_pos):
        scores = z_anchor @ (self.W @ z_pos.t())
        return scores - scores.max(dim=1, keepdim=True).values.detach()


class Agent:
    def __init__(self, feature_dim=10, encoder_lr=1e-3, cpc_lr=1e-3):
        self.encoder = PixelEncoder(feature_dim)
        self.cpc = Contrastive(self.encoder, feature_dim)
        self.encoder_optimizer = torch.optim.Adam(self.encoder.parameters(), lr=encoder_lr)
        self.cpc_optimizer = torch.optim.Adam(self.cpc.parameters(), lr=cpc_lr)

    def update_cpc(self, anchor, positive):
        z_anchor = self.encoder(anchor)
        with torch.no_grad():
            z_pos = self.encoder(positive)
        labels = torch.arange(len(anchor))
        loss = F.cross_entropy(self.cpc.logits(z_anchor, z_pos), labels)

        self.encoder_optimizer.zero_grad()
        self.cpc_optimizer.zero_grad()
        loss.backward()
        self.encoder_optimizer.step()
        self.cpc_optimizer.step()
        return loss.item()


def random_shift(frames):
    return torch.roll(frames, shifts=int(torch.randint(-1, 2, ())), dims=-1)


if __name__ == "__main__":
    torch.manual_seed(1)
    agent = Agent()
    for step in range(16):
        frames = torch.rand(12, 1, 8, 8)
        loss = agent.update_cpc(random_shift(frames), random_shift(frames))
        if step % 4 == 0:
            print(f"step {step} cpc {loss:.4f}")
