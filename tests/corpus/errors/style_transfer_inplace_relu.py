"""Neural style transfer with a (random) convolutional feature extractor."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


def gram_matrix(x):
    n, c, h, w = x.size()
    features = x.view(n * c, h * w)
    gram = torch.mm(features, features.t())
    return gram / x.numel()


class StyleLoss(nn.Module):
    def __init__(self, target_feature):
        super().__init__()
        self.target = gram_matrix(target_feature).detach()
        self.loss = None

    def forward(self, x):
        self.loss = F.mse_loss(gram_matrix(x), self.target)
        return x


class ContentLoss(nn.Module):
    def __init__(self, target):
        super().__init__()
        self.target = target.detach()
        self.loss = None

    def forward(self, x):
        self.loss = F.mse_loss(x, self.target)
        return x


def build_model(cnn, style_img, content_img):
    model = nn.Sequential()
    style_losses, content_losses = [], []
    for i, layer in enumerate(cnn):
        model.add_module(f"layer_{i}", layer)
        if i == 0:
            style_losses.append(StyleLoss(model(style_img).detach()))
            model.add_module("style_loss", style_losses[-1])
        if i == len(cnn) - 1:
            content_losses.append(ContentLoss(model(content_img).detach()))
            model.add_module("content_loss", content_losses[-1])
    return model.requires_grad_(False), style_losses, content_losses


def run(num_steps=3):
    torch.manual_seed(0)
    cnn = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
    )
    style_img, content_img = torch.rand(1, 3, 24, 24), torch.rand(1, 3, 24, 24)
    model, style_losses, content_losses = build_model(cnn, style_img, content_img)
    input_img = content_img.clone().requires_grad_(True)
    optimizer = optim.LBFGS([input_img], max_iter=4)

    def closure():
        optimizer.zero_grad()
        model(input_img)
        style_score = sum(sl.loss for sl in style_losses)
        content_score = sum(cl.loss for cl in content_losses)
        loss = 1e4 * style_score + content_score
        loss.backward()
        return loss

    for step in range(num_steps):
        loss = optimizer.step(closure)
        print(f"step {step}: {loss.item():.4f}")


run()
