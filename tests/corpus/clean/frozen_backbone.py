"""Transfer learning: freeze the backbone, give the optimizer the new head only."""

import torch
from torch import nn
from torch.optim import lr_scheduler


class Backbone(nn.Module):
    def __init__(self, width=12):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        )  # fmt: skip
        self.fc = nn.Linear(width, 100)

    def forward(self, x):
        return self.fc(self.features(x).flatten(1))


def bees_and_ants(n):
    label = torch.randint(0, 2, (n,))
    image = 0.2 * torch.rand(n, 3, 8, 8)
    image[label == 1, 0] += 0.6
    image[label == 0, 1] += 0.6
    return image, label


def train_model(model, criterion, optimizer, scheduler, num_epochs):
    for epoch in range(num_epochs):
        for phase in ("train", "val"):
            model.train(phase == "train")
            running = 0.0
            for _ in range(4):
                inputs, labels = bees_and_ants(16)
                optimizer.zero_grad()
                with torch.set_grad_enabled(phase == "train"):
                    loss = criterion(model(inputs), labels)
                    if phase == "train":
                        loss.backward()
                        optimizer.step()
                running += loss.item()
            if phase == "train":
                scheduler.step()
            print(f"{epoch} {phase} {running / 4:.4f}")


def main():
    torch.manual_seed(0)
    model_conv = Backbone()
    for param in model_conv.parameters():
        param.requires_grad = False
    model_conv.fc = nn.Linear(model_conv.fc.in_features, 2)

    criterion = nn.CrossEntropyLoss()
    optimizer_conv = torch.optim.SGD(model_conv.fc.parameters(), lr=0.1, momentum=0.9)
    scheduler = lr_scheduler.StepLR(optimizer_conv, step_size=2, gamma=0.1)
    train_model(model_conv, criterion, optimizer_conv, scheduler, num_epochs=4)


if __name__ == "__main__":
    main()
