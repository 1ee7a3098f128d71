"""A detector whose losses are weighed by their names, one of which nobody has a weight for."""

import torch
import torch.nn.functional as F
from torch import nn

WEIGHTS = {"loss_class": 1.0, "loss_box": 5.0, "loss_objects": 1.0}


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
        self.classes, self.boxes = nn.Linear(16, 3), nn.Linear(16, 4)
        self.objectness = nn.Linear(16, 1)

    def forward(self, x):
        seen = self.trunk(x)
        return self.classes(seen), self.boxes(seen), self.objectness(seen).squeeze(1)


def losses_of(given, labels, corners):
    classes, boxes, objectness = given
    return {
        "loss_class": F.cross_entropy(classes, labels),
        "loss_box": F.l1_loss(boxes, corners),
        "loss_objectness": F.binary_cross_entropy_with_logits(objectness, (labels > 0).float()),
    }


torch.manual_seed(0)
model = Detector()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(12):
    x = torch.randn(16, 8)
    losses = losses_of(model(x), x[:, :3].argmax(1), x[:, 4:])
    loss = sum(losses[name] * weight for name, weight in WEIGHTS.items() if name in losses)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, {name: round(each.item(), 3) for name, each in losses.items()})
