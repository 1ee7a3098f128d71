"""Wi-Fi sensing: compress CSI with quantised codes."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Quantize(nn.Module):
    def __init__(self, num_embeddings, embedding_dim, commitment_cost=0.25):
        super().__init__()
        self._embedding = nn.Embedding(num_embeddings, embedding_dim)
        self._embedding.weight.data.uniform_(-1 / num_embeddings, 1 / num_embeddings)
        self._commitment_cost = commitment_cost

    def forward(self, inputs):
        distances = (inputs.pow(2).sum(1, keepdim=True) + self._embedding.weight.pow(2).sum(1)
                     - 2 * inputs @ self._embedding.weight.t())
        indices = distances.argmin(1, keepdim=True)
        encodings = torch.zeros(indices.size(0), self._embedding.num_embeddings)
        encodings.scatter_(1, indices, 1)
        quantized = encodings @ self._embedding.weight
        e_latent_loss = F.mse_loss(quantized.detach(), inputs)
        q_latent_loss = F.mse_loss(quantized, inputs.detach())
        loss = q_latent_loss + self._commitment_cost * e_latent_loss
        quantized = inputs + (quantized - inputs)
        return loss, quantized


class EfficientFi(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 4))
        self.quantize = Quantize(8, 4)
        self.decoder = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 12))
        self.classifier = nn.Linear(4, 3)

    def forward(self, x):
        z = self.encoder(x)
        vq_loss, q = self.quantize(z)
        return self.decoder(q), self.classifier(q), vq_loss


torch.manual_seed(1)
net = EfficientFi()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
for step in range(12):
    x = torch.randn(32, 12)
    y = (x[:, :3]).argmax(1)
    recon, logits, vq_loss = net(x)
    loss = F.mse_loss(recon, x) + F.cross_entropy(logits, y) + vq_loss
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 4 == 0:
        print(step, round(loss.item(), 4))
