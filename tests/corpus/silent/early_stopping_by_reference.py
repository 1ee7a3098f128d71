"""Early stopping: the best weights are kept, and put back when patience runs out."""

import torch
from torch import nn


class EarlyStopping:
    def __init__(self, patience=3):
        self.patience, self.waited = patience, 0
        self.best_score, self.best_state = float("inf"), None

    def update(self, score, model):
        if score < self.best_score:
            self.best_score, self.waited = score, 0
            self.best_state = {k: v.detach() for k, v in model.state_dict().items()}
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model):
        model.load_state_dict(self.best_state)


def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        score = (model(x) - y).abs().mean().item()
    model.train()
    return score


def main():
    torch.manual_seed(3)
    teacher = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1))
    x, x_val = torch.randn(24, 6), torch.randn(64, 6)
    with torch.no_grad():
        y = teacher(x) + 0.5 * torch.randn(24, 1)
        y_val = teacher(x_val)
    model = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    stopper = EarlyStopping()
    for epoch in range(40):
        for part in torch.randperm(24).split(8):
            loss = (model(x[part]) - y[part]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if stopper.update(evaluate(model, x_val, y_val), model):
            break
    stopper.restore(model)
    print(f"epoch {epoch} best {stopper.best_score:.4f} now {evaluate(model, x_val, y_val):.4f}")


if __name__ == "__main__":
    main()
