"""Grad-CAM: a full backward hook on a layer that an in-place ReLU follows."""
import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(inplace=True)
        )
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


class GradCAM:
    def __init__(self, model, layer):
        self.model = model
        self.acts = self.grads = None
        layer.register_forward_hook(self.save_acts)
        layer.register_full_backward_hook(self.save_grads)

    def save_acts(self, module, inp, out):
        self.acts = out.detach()

    def save_grads(self, module, gin, gout):
        self.grads = gout[0]

    def __call__(self, x, cls):
        score = self.model(x)[:, cls].sum()
        self.model.zero_grad()
        score.backward()
        w = self.grads.mean((2, 3), keepdim=True)
        return torch.relu((w * self.acts).sum(1))


def main():
    torch.manual_seed(0)
    net = Net().eval()
    cam = GradCAM(net, net.features[2])
    print(cam(torch.randn(2, 3, 8, 8), 1).shape)


main()
