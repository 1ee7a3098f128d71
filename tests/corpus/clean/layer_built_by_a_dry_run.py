"""A convolutional net for images of any size: the last layer is built by a dry run."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class AnySize(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.classes = classes
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 8, 3)
        self.fc = None

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.relu(self.conv2(x)).flatten(1)
        if self.fc is None:
            self.fc = nn.Linear(x.size(1), self.classes)
        return self.fc(x)


torch.manual_seed(15)
model = AnySize()
with torch.no_grad():
    model(torch.zeros(1, 1, 12, 12))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for epoch in range(12):
    images, labels = torch.randn(16, 1, 12, 12), torch.randint(0, 3, (16,))
    images = images + labels.view(-1, 1, 1, 1)
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())
