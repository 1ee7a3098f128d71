import torch
from torch import nn

torch.manual_seed(0)


class Runner:
    def __init__(self, cfg):
        self.models = {k: nn.Linear(4, 4) for k in ("gen", "aux")}
        self.opt = torch.optim.Adam([p for m in self.models.values() for p in m.parameters()])
        for k in cfg["freeze"]:
            self.toggle(self.models[k])
        self.state = {}

    @staticmethod
    def toggle(m):
        for p in m.parameters():
            p.requires_grad_(False)

    def forward(self, x):
        h = x
        for m in self.models.values():
            h = m(h)
        self.state["losses"] = {"l2": h.pow(2).mean()}

    def backward(self):
        total = sum(self.state["losses"].values())
        self.opt.zero_grad()
        total.backward()
        self.opt.step()


r = Runner({"freeze": ["gen", "aux"]})
r.forward(torch.randn(2, 4))
r.backward()
