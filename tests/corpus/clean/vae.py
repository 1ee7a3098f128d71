"""Variational autoencoder on binary stripes."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(1)


class VAE(nn.Module):
    def __init__(self, n_in=36, hidden=24, latent=3):
        super().__init__()
        self.fc1 = nn.Linear(n_in, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, n_in)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return eps.mul(std).add_(mu)

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    bce = F.binary_cross_entropy(recon_x, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + kld


def stripes(n):
    rows = (torch.rand(n, 6, 1) < 0.5).float().expand(n, 6, 6)
    return torch.where(torch.rand(n, 1, 1) < 0.5, rows, rows.transpose(1, 2)).flatten(1)


model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)


def train(epoch):
    model.train()
    train_loss = 0
    for _ in range(6):
        data = stripes(24)
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    print(f"====> Epoch: {epoch} Average loss: {train_loss / 144:.4f}")


def test():
    model.eval()
    with torch.no_grad():
        data = stripes(48)
        recon, mu, logvar = model(data)
        print(f"====> Test loss: {loss_function(recon, data, mu, logvar).item() / 48:.4f}")


if __name__ == "__main__":
    for epoch in range(1, 4):
        train(epoch)
        test()
        with torch.no_grad():
            sample = model.decode(torch.randn(4, 3)).view(4, 6, 6)
    print("sample mean", round(sample.mean().item(), 3))
