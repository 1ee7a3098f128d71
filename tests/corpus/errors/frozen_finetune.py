"""Fine-tune a pretrained backbone on a new label set."""

import argparse

import torch
import torch.nn as nn


class Backbone(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.fc = nn.Linear(32, n_classes)

    def forward(self, x):
        return self.fc(self.features(x))


def pretrained(n_classes=10):
    torch.manual_seed(100)
    return Backbone(n_classes)


def set_trainable(model, feature_extracting):
    if feature_extracting:
        for param in model.parameters():
            param.requires_grad = False


def build_model(n_classes, feature_extract):
    model = pretrained()
    model.fc = nn.Linear(model.fc.in_features, n_classes)
    set_trainable(model, feature_extract)
    return model


def train_model(model, batches, criterion, optimizer, num_epochs):
    for epoch in range(num_epochs):
        model.train()
        running_loss, correct, seen = 0.0, 0, 0
        for inputs, labels in batches:
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * len(inputs)
            correct += (outputs.argmax(1) == labels).sum().item()
            seen += len(inputs)
        print(f"{epoch}: loss {running_loss / seen:.4f} acc {correct / seen:.3f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--no-feature-extract", action="store_true")
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()
    model = build_model(3, feature_extract=not args.no_feature_extract)
    torch.manual_seed(81)
    batches = [(torch.randn(8, 1, 12, 12), torch.randint(0, 3, (8,))) for _ in range(4)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    train_model(model, batches, nn.CrossEntropyLoss(), optimizer, args.epochs)


if __name__ == "__main__":
    main()
