import torch
from torch import nn

torch.manual_seed(0)


def batches(n):
    for _ in range(n):
        image = torch.rand(2, 3)
        yield image, torch.tensor([0, 1])


class Saliency:
    def __init__(self, net):
        self.net = net

    def explain(self, image, label):
        image.retain_grad()
        self.net(image).gather(1, label[:, None]).sum().backward()
        return image.grad.abs()


s = Saliency(nn.Linear(3, 2))
for image, label in batches(2):
    print(s.explain(image, label))
