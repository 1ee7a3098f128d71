"""Dual-speaker motion: training with gradient accumulation."""

import argparse

import torch
import torch.nn as nn

parser = argparse.ArgumentParser()
parser.add_argument("--gradient_accumulation_steps", type=int, default=4)
parser.add_argument("--max_epoch", type=int, default=2)
args = parser.parse_args([])


class Motion(nn.Module):
    def __init__(self):
        super().__init__()
        self.audio = nn.GRU(8, 24, batch_first=True)
        self.head = nn.Linear(24, 5)

    def forward(self, audio):
        return self.head(self.audio(audio)[0])


def loader(n=12):
    for _ in range(n):
        audio = torch.randn(2, 10, 8)
        yield audio, audio.cumsum(1)[..., :5] * 0.1


def trainer(args, model, optimizer, criterion):
    for e in range(args.max_epoch):
        loss_log = []
        model.train()
        for i, (audio, blendshape) in enumerate(loader(), start=1):
            pred = model(audio)
            loss = criterion(pred, blendshape)
            optimizer.zero_grad()
            loss.backward()
            loss_log.append(loss.item())
            if i % args.gradient_accumulation_steps == 0:
                optimizer.step()
                optimizer.zero_grad()
        print(f"epoch {e} train loss {sum(loss_log) / len(loss_log):.5f}")
    return model


torch.manual_seed(4)
model = Motion()
trainer(args, model, torch.optim.Adam(model.parameters(), lr=1e-3), nn.MSELoss())
