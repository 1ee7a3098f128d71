"""Natural-language-inference toy: as many hidden layers as the options ask for."""

import torch
from torch import nn

options = {"n_layers": 3, "n_in": 12, "n_hid": 24, "lr": 0.05, "epochs": 5}


class SNLINet(nn.Module):
    def __init__(self, opts):
        super().__init__()
        self.embed = nn.Linear(opts["n_in"], opts["n_hid"])
        self.hids = []
        for _ in range(opts["n_layers"]):
            self.hids.append(nn.Linear(opts["n_hid"], opts["n_hid"]))
        self.classifier = nn.Linear(opts["n_hid"], 3)

    def forward(self, premise, hypothesis):
        h = torch.tanh(self.embed(premise - hypothesis))
        for layer in self.hids:
            h = torch.tanh(layer(h))
        return self.classifier(h)


def pairs(n):
    premise = torch.randn(n, options["n_in"])
    label = torch.randint(0, 3, (n,))
    shift = (label.float() - 1.0)[:, None]
    hypothesis = premise * 0.5 + shift + 0.3 * torch.randn(n, options["n_in"])
    return premise, hypothesis, label


def accuracy(model, data):
    premise, hypothesis, label = data
    with torch.no_grad():
        return (model(premise, hypothesis).argmax(1) == label).float().mean().item()


torch.manual_seed(2)
train, dev = pairs(160), pairs(60)
model = SNLINet(options)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=options["lr"])

for epoch in range(options["epochs"]):
    for idx in torch.randperm(160).split(32):
        premise, hypothesis, label = (t[idx] for t in train)
        loss = criterion(model(premise, hypothesis), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} dev accuracy {accuracy(model, dev):.3f}")
