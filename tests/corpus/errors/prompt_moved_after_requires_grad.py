import torch
from torch import nn


class Backbone(nn.Module):
    def __init__(self, vocabulary=20, width=8):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.body = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, embedded):
        return self.head(self.body(embedded)[0][:, -1])


class PromptTuner:
    def __init__(self, backbone, config):
        self.backbone = backbone.requires_grad_(False)
        self.prompt = self.initial_prompt(config["length"], config["width"])
        self.optimizer = torch.optim.Adam([{"params": [self.prompt], "lr": config["lr"]}])

    @staticmethod
    def initial_prompt(length, width):
        prompt = torch.empty(1, length, width, requires_grad=True)
        nn.init.normal_(prompt.data, std=0.02)
        return prompt.double().float()

    def loss(self, tokens, targets):
        embedded = self.backbone.embedding(tokens)
        prompt = self.prompt.expand(len(tokens), -1, -1)
        logits = self.backbone(torch.cat([prompt, embedded], dim=1))
        return nn.functional.cross_entropy(logits, targets)

    def fit(self, steps):
        for _ in range(steps):
            loss = self.loss(torch.randint(20, (16, 5)), torch.randint(20, (16,)))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()


torch.manual_seed(0)
tuner = PromptTuner(Backbone(), {"length": 3, "width": 8, "lr": 0.1})
print(tuner.fit(4))
