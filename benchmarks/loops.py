"""The training loops that overhead.py measures: ordinary programs, each spends its time in torch.

A factory builds its networks and returns what trains them, one iteration for each of `steps`.
What spends its time in Python is in busy_loops.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

Train = Callable[[Iterable[int]], None]

# Where the loops below that read it train: `overhead.py --device cuda` sets it.
DEVICE = "cpu"
# How many images or sequences dcgan and transformer train on at once: `instructions.py --batch`
# sets it, as Valgrind would take hours for the usual ones.
BATCH = 0


def tiny() -> Train:
    """an MLP GAN on 8×8 images"""
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    D = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    return _gan(G.to(DEVICE), D.to(DEVICE), torch.randn(64, 64, device=DEVICE), (64, 32))


def dcgan() -> Train:
    """a DCGAN on 28×28 images"""
    torch.manual_seed(0)
    G = nn.Sequential(
        nn.ConvTranspose2d(32, 64, 7), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip
    D = nn.Sequential(
        nn.Conv2d(1, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 64, 4, 2, 1),
        nn.BatchNorm2d(64), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(64 * 49, 1),
    )  # fmt: skip
    batch = BATCH or 64
    img = torch.randn(batch, 1, 28, 28, device=DEVICE)
    return _gan(G.to(DEVICE), D.to(DEVICE), img, (batch, 32, 1, 1))


def _gan(G: nn.Module, D: nn.Module, img: Any, noise: tuple[int, ...]) -> Train:
    optimizer_D = torch.optim.Adam(D.parameters(), 2e-4)
    optimizer_G = torch.optim.Adam(G.parameters(), 2e-4)
    bce = F.binary_cross_entropy_with_logits

    def train(steps: Iterable[int]) -> None:
        for _ in steps:
            gene_img = G(torch.randn(noise, device=DEVICE))
            real_logit = D(img)
            gene_logit = D(gene_img.detach())
            D_loss = bce(real_logit, torch.ones_like(real_logit))
            D_loss = D_loss + bce(gene_logit, torch.zeros_like(gene_logit))
            optimizer_D.zero_grad()
            D_loss.backward()
            optimizer_D.step()
            gene_logit = D(gene_img)
            G_loss = bce(gene_logit, torch.ones_like(gene_logit))
            optimizer_G.zero_grad()
            G_loss.backward()
            optimizer_G.step()

    return train


def transformer() -> Train:
    """six encoder layers, d = 256, 32 tokens, batch 8"""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True)
    net = nn.Sequential(nn.TransformerEncoder(layer, 6), nn.Linear(256, 256)).to(DEVICE)
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)
    x, y = torch.randn(2, BATCH or 8, 32, 256, device=DEVICE)

    def train(steps: Iterable[int]) -> None:
        for _ in steps:
            loss = (net(x) - y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train


def lstm() -> Train:
    """an LSTM cell that is called 200 times an iteration"""
    torch.manual_seed(0)
    cell, head = nn.LSTMCell(8, 32), nn.Linear(32, 1)
    optimizer = torch.optim.Adam([*cell.parameters(), *head.parameters()], 1e-3)
    x, y = torch.randn(200, 16, 8), torch.randn(200, 16, 1)

    def train(steps: Iterable[int]) -> None:
        for _ in steps:
            h, c = torch.zeros(16, 32), torch.zeros(16, 32)
            outputs = []
            for item in x:
                h, c = cell(item, (h, c))
                outputs.append(head(h))
            loss = F.mse_loss(torch.stack(outputs), y)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(cell.parameters(), 1.0)
            optimizer.step()

    return train


class MessagePassing(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.message = nn.Linear(2 * width, width)
        self.update = nn.Linear(2 * width, width)

    def forward(self, x: Any, source: Any, target: Any) -> Any:
        messages = F.relu(self.message(torch.cat([x[source], x[target]], dim=1)))
        received = torch.zeros_like(x).index_add(0, target, messages)
        degree = torch.zeros(len(x), 1).scatter_add_(0, target[:, None], torch.ones(len(target), 1))
        return x + F.relu(self.update(torch.cat([x, received / degree.clamp(min=1)], dim=1)))


class GraphNetwork(nn.Module):
    def __init__(self, width: int, layers: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MessagePassing(width) for _ in range(layers))
        self.head = nn.Linear(width, classes)

    def forward(self, x: Any, edges: Any) -> Any:
        source, target = edges
        for layer in self.layers:
            x = layer(x, source, target)
        return self.head(x)


def gnn() -> Train:
    """message passing by index_add over 200 nodes and 800 edges, three layers"""
    torch.manual_seed(0)
    net = GraphNetwork(32, 3, 4)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    x, labels = torch.randn(200, 32), torch.randint(4, (200,))
    edges = torch.randint(200, (2, 800))

    def train(steps: Iterable[int]) -> None:
        for _ in steps:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x, edges), labels)
            loss.backward()
            optimizer.step()

    return train


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.project(y.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Any) -> Any:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    def __init__(self, tokens: int, length: int, width: int, layers: int) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(tokens, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, 4) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, tokens, bias=False)
        self.head.weight = self.token.weight

    def forward(self, x: Any, y: Any) -> Any:
        h = self.token(x) + self.position(torch.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        return F.cross_entropy(self.head(self.norm(h)).flatten(0, 1), y.flatten())


def gpt() -> Train:
    """a GPT of four layers, d = 32, 32 tokens, batch 4, with clipping and a schedule"""
    torch.manual_seed(0)
    net = GPT(65, 32, 32, 4)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 100))
    text = torch.randint(65, (10_000,))

    def train(steps: Iterable[int]) -> None:
        for _ in steps:
            starts = torch.randint(len(text) - 33, (4,)).tolist()
            x = torch.stack([text[at : at + 32] for at in starts])
            y = torch.stack([text[at + 1 : at + 33] for at in starts])
            loss = net(x, y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()

    return train


def ppo() -> Train:
    """PPO: 32 steps in 8 worlds, then 2 passes of 4 minibatches an iteration"""
    torch.manual_seed(0)
    policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    value = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))
    parameters = [*policy.parameters(), *value.parameters()]
    optimizer = torch.optim.Adam(parameters, 3e-4)
    move = torch.tensor([-0.1, 0.1])

    def rollout(state: Any) -> tuple[list[Any], Any]:
        rows = []
        with torch.no_grad():
            for _ in range(32):
                chosen = torch.distributions.Categorical(logits=policy(state))
                action = chosen.sample()
                rows.append((state, action, chosen.log_prob(action), value(state).squeeze(1)))
                state = state.roll(1, dims=1)
                state[:, 0] += move[action]
        return rows, state

    def train(steps: Iterable[int]) -> None:
        state = torch.randn(8, 4)
        for _ in steps:
            rows, state = rollout(state)
            states, actions, old, values = (torch.stack(each) for each in zip(*rows, strict=True))
            rewards = -states[..., 0].abs()
            advantage, running = torch.zeros_like(values), torch.zeros(8)
            for t in reversed(range(32)):
                following = values[t + 1] if t < 31 else torch.zeros(8)
                running = rewards[t] + 0.99 * following - values[t] + 0.95 * 0.99 * running
                advantage[t] = running
            returns = advantage + values
            flat = [each.flatten(0, 1) for each in (states, actions, old, advantage, returns)]
            for _ in range(2):
                for batch in torch.randperm(256).split(64):
                    s, a, before, gain, target = (each[batch] for each in flat)
                    chosen = torch.distributions.Categorical(logits=policy(s))
                    ratio = (chosen.log_prob(a) - before).exp()
                    clipped = ratio.clamp(0.8, 1.2)
                    policy_loss = -torch.min(ratio * gain, clipped * gain).mean()
                    value_loss = F.mse_loss(value(s).squeeze(1), target)
                    loss = policy_loss + 0.5 * value_loss - 0.01 * chosen.entropy().mean()
                    optimizer.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(parameters, 0.5)
                    optimizer.step()

    return train


def _parameters(count: int, listed: bool = False) -> Train:
    torch.manual_seed(0)
    made = [nn.Parameter(torch.randn(4)) for _ in range(count)]
    weights: Any = made if listed else nn.ParameterList(made)
    optimizer = torch.optim.Adam(made, 1e-3)

    def train(steps: Iterable[int]) -> None:
        for _ in steps:
            loss = torch.stack(list(weights)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train


def parameters_1000() -> Train:
    """1,000 parameters of 4 numbers under one Adam"""
    return _parameters(1000)


def listed_1000() -> Train:
    """1,000 parameters as above, in a plain list: torch's is a loop of Python"""
    return _parameters(1000, listed=True)


def parameters_5000() -> Train:
    """5,000 parameters of 4 numbers under one Adam"""
    return _parameters(5000)


def modules_1000() -> Train:
    """1,000 modules, called one after the other"""
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Linear(4, 4) if i % 2 == 0 else nn.Tanh() for i in range(999)), nn.Linear(4, 1)
    )
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    x, y = torch.randn(8, 4), torch.randn(8, 1)

    def train(steps: Iterable[int]) -> None:
        for _ in steps:
            loss = F.mse_loss(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train
