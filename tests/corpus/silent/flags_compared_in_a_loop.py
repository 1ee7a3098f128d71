"""A classifier is fine-tuned; the features that it begins with are to stay as they are."""

import torch
import torch.nn as nn

torch.manual_seed(0)


class Finetune(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(16, 32), nn.ReLU())
        self.classifier = nn.Linear(32, 3)

    def forward(self, x):
        return self.classifier(self.features(x))


model = Finetune()
for param in model.features.parameters():
    param.requires_grad == False

optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for step in range(10):
    x, y = torch.randn(8, 16), torch.randint(0, 3, (8,))
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
