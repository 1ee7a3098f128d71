import torch
from torch import nn

torch.manual_seed(0)


class Preprocess(nn.Module):
    def forward(self, image):
        normal = (image - image.mean()) / image.std()
        return torch.tensor(normal.tolist())


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.pre, self.net = Preprocess(), nn.Linear(6, 3)

    def forward(self, image):
        return self.net(self.pre(image))


def attack(model, image, label, eps):
    image = image.clone().requires_grad_(True)
    scores = model(image)
    loss = nn.functional.cross_entropy(scores, label)
    g, = torch.autograd.grad(loss, image)
    return image + eps * g.sign()


attack(Classifier(), torch.randn(2, 6), torch.tensor([0, 1]), 0.1)
