"""Fit a label model to noisy votes and report the average loss over the run."""

import argparse

import torch
from torch import nn


class LabelModel(nn.Module):
    """Each voter has an accuracy per class; the true class is latent."""

    def __init__(self, num_classes, num_voters):
        super().__init__()
        self.accuracy = nn.Parameter(torch.zeros(num_voters, num_classes))
        self.balance = nn.Parameter(torch.zeros(num_classes))

    def forward(self, votes):
        right = torch.log(torch.sigmoid(self.accuracy + 1.0))
        wrong = torch.log(1.0 - torch.sigmoid(self.accuracy + 1.0))
        agree = votes[:, :, None] == torch.arange(self.balance.numel())
        joint = torch.where(agree, right, wrong).sum(dim=1)
        return torch.logsumexp(joint + torch.log_softmax(self.balance, 0), dim=1)


def simulate(n, num_voters, num_classes):
    truth = torch.randint(0, num_classes, (n, 1))
    noise = torch.randint(0, num_classes, (n, num_voters))
    return torch.where(torch.rand(n, num_voters) < 0.7, truth, noise)


def fit(model, votes, lr, epochs, batch_size):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    running_loss = 0.0
    seen = 0
    for epoch in range(epochs):
        for batch in votes[torch.randperm(len(votes))].split(batch_size):
            optimizer.zero_grad()
            loss = -model(batch).mean()
            loss.backward()
            optimizer.step()
            running_loss += loss
            seen += 1
        print(f"epoch {epoch} average loss {running_loss / seen:.5f}")
    return running_loss / seen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    args = parser.parse_args()
    torch.manual_seed(0)
    votes = simulate(192, num_voters=6, num_classes=3)
    label_model = LabelModel(3, 6)
    final = fit(label_model, votes, lr=0.05, epochs=args.epochs, batch_size=args.batch_size)
    print("done", round(final.item(), 5))


if __name__ == "__main__":
    main()
