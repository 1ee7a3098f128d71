"""The batch that an attack asks for the gradient of was never told to require grad."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
batches = [(torch.rand(16, 8), torch.randint(0, 3, (16,))) for _ in range(3)]


def fgsm(image, epsilon, gradient):
    return (image + epsilon * gradient.sign()).clamp(0, 1)


right = 0
for data, target in batches:
    output = model(data)
    loss = F.nll_loss(F.log_softmax(output, dim=1), target)
    model.zero_grad()
    loss.backward()
    gradient = data.grad.data
    adversarial = fgsm(data, 0.1, gradient)
    right += (model(adversarial).argmax(1) == target).sum().item()
print(right)
