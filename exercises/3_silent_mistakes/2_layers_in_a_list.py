"""Three layers, and one learns.

A network with as many hidden layers as you like. It trains, but only a little, and with more
layers it gets no better. Mend it so that the optimizer gets all of them.

part: Silent mistakes
expect: GL103 at `loss.backward()`
assert: optimizer changes model
assert: optimizer makes 10 steps
assert: loss reaches model
hint: Where to look: how many parameters does the ledger say that the optimizer owns? How many
    has the network?
hint: Why: a Module finds its children among its attributes, and a Python list is not a Module. The
    layers in it run in forward and get gradients, but model.parameters() does not know them, so
    the optimizer never steps them. nn.ModuleList is a list that registers what is in it.
lesson: What parameters() does not list, nobody trains. Containers of layers are nn.ModuleList,
    nn.Sequential or nn.ModuleDict.
"""

import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = [nn.Linear(4, 4) for _ in range(2)]
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        return self.head(x)


torch.manual_seed(0)
model = Model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(10):
    x = torch.randn(32, 4)
    loss = (model(x) - x[:, :1].sin()).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
