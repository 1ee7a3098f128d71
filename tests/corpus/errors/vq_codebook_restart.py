"""Soft vector quantisation autoencoder that re-seeds its codebook during warm-up."""

import torch
from torch import nn


class SoftQuantizer(nn.Module):
    def __init__(self, n_codes, dim):
        super().__init__()
        self.codebook = nn.Embedding(n_codes, dim)
        nn.init.normal_(self.codebook.weight, std=0.02)

    def forward(self, z):
        dist = torch.cdist(z, self.codebook.weight)
        assign = torch.softmax(-dist, dim=1)
        quantized = assign @ self.codebook.weight
        usage = assign.detach().mean(dim=0)
        perplexity = torch.exp(-(usage * (usage + 1e-9).log()).sum())
        return quantized, perplexity

    def restart(self):
        nn.init.uniform_(self.codebook.weight, -1.0, 1.0)


class AutoEncoder(nn.Module):
    def __init__(self, n_in, dim, n_codes):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(), nn.Linear(32, dim))
        self.quantizer = SoftQuantizer(n_codes, dim)
        self.decoder = nn.Sequential(nn.Linear(dim, 32), nn.ReLU(), nn.Linear(32, n_in))

    def forward(self, x):
        quantized, perplexity = self.quantizer(self.encoder(x))
        return self.decoder(quantized), perplexity


class Trainer:
    def __init__(self, model, lr=2e-3, restart_every=10, warmup=30):
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.criterion = nn.MSELoss()
        self.restart_every = restart_every
        self.warmup = warmup
        self.seen = 0

    def step(self, x):
        recon, perplexity = self.model(x)
        loss = self.criterion(recon, x)
        self.seen += 1
        if self.seen < self.warmup and self.seen % self.restart_every == 0:
            self.model.quantizer.restart()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item(), perplexity.item()


def main():
    torch.manual_seed(12)
    centres = 3 * torch.randn(6, 10)
    trainer = Trainer(AutoEncoder(10, 4, 16))
    for it in range(60):
        x = centres[torch.randint(0, 6, (64,))] + 0.1 * torch.randn(64, 10)
        loss, perplexity = trainer.step(x)
        if it % 10 == 0:
            print(f"{it:4d} loss {loss:.4f} perplexity {perplexity:.5f}")


if __name__ == "__main__":
    main()
