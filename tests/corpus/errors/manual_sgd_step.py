"""Two-layer network from scratch: tensors, backward() and a hand-made update."""

import torch


def init_params(sizes):
    params = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:]):
        weight = torch.randn(n_in, n_out) / n_in**0.5
        bias = torch.zeros(n_out)
        params.append((weight.requires_grad_(), bias.requires_grad_()))
    return params


def forward(params, x):
    for i, (weight, bias) in enumerate(params):
        x = x @ weight + bias
        if i < len(params) - 1:
            x = torch.relu(x)
    return x


def mse(pred, y):
    return ((pred - y) ** 2).mean()


def sgd_step(params, lr):
    for weight, bias in params:
        weight -= lr * weight.grad
        bias -= lr * bias.grad
        weight.grad.zero_()
        bias.grad.zero_()


def main():
    torch.manual_seed(33)
    x = torch.randn(128, 3)
    y = (x[:, :1] * x[:, 1:2]).sin()
    params = init_params([3, 16, 1])
    for epoch in range(20):
        loss = mse(forward(params, x), y)
        loss.backward()
        sgd_step(params, lr=0.1)
        print(f"{epoch} {loss.item():.4f}")


if __name__ == "__main__":
    main()
