"""Mixed precision recipe: autocast, a gradient scaler, unscaling before clipping."""

import argparse

import torch
from torch import nn


class MixedNet(nn.Module):
    def __init__(self, n_in=12, width=32, n_out=2):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(n_in, width), nn.ReLU(), nn.LayerNorm(width), nn.Linear(width, n_out)
        )

    def forward(self, x):
        return self.net(x)


def make_model(lr):
    model = MixedNet()
    return model, torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def train(model, optimizer, scaler, data, targets, use_amp, clip):
    loss_fn = nn.MSELoss()
    for x, y in zip(data, targets, strict=True):
        with torch.autocast(device_type="cpu", dtype=torch.bfloat16, enabled=use_amp):
            output = model(x)
            loss = loss_fn(output.float(), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=clip)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    return loss.item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--no-amp", action="store_true")
    args = parser.parse_args()
    use_amp = not args.no_amp

    torch.manual_seed(5)
    w = torch.randn(12, 2)
    data = torch.randn(8, 24, 12)
    targets = (data @ w).tanh()
    model, optimizer = make_model(lr=0.05)
    # a first scale that overflows in float32 would only make the first steps be skipped
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, enabled=use_amp)
    for epoch in range(args.epochs):
        loss = train(model, optimizer, scaler, data, targets, use_amp, clip=1.0)
        print(f"epoch {epoch} loss {loss:.4f} scale {scaler.get_scale()}")


if __name__ == "__main__":
    main()
