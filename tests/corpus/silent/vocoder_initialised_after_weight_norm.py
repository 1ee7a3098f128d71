"""A small vocoder-like stack: weight-normalised convolutions, initialised by apply()."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.parametrizations import weight_norm


def init_weights(m, mean=0.0, std=0.01):
    if m.__class__.__name__.find("Conv") != -1:
        m.weight.data.normal_(mean, std)


class ResBlock(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.convs = nn.ModuleList(weight_norm(nn.Conv1d(ch, ch, 3, padding=d, dilation=d)) for d in (1, 2))
        self.convs.apply(init_weights)

    def forward(self, x):
        for c in self.convs:
            x = x + c(F.leaky_relu(x, 0.1))
        return x


class Generator(nn.Module):
    def __init__(self, n_mels=6, ch=8):
        super().__init__()
        self.pre = weight_norm(nn.Conv1d(n_mels, ch, 5, padding=2))
        self.block = ResBlock(ch)
        self.post = weight_norm(nn.Conv1d(ch, 1, 5, padding=2))

    def forward(self, mel):
        return torch.tanh(self.post(F.leaky_relu(self.block(self.pre(mel)))))


def main():
    torch.manual_seed(0)
    gen = Generator()
    opt = torch.optim.AdamW(gen.parameters(), lr=2e-3)
    for step in range(8):
        mel = torch.randn(4, 6, 20)
        loss = F.l1_loss(gen(mel), torch.tanh(mel.mean(1, keepdim=True)))
        opt.zero_grad()
        loss.backward()
        opt.step()
        print(step, round(loss.item(), 4))
    return gen


gen = main()
