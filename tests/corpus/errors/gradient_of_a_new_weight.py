import torch


def make_data(count):
    x = torch.linspace(-1, 1, count).unsqueeze(1)
    return x, 3 * x - 1


class LinearRegression:
    def __init__(self, rate):
        self.weight = torch.zeros(1, requires_grad=True)
        self.bias = torch.zeros(1, requires_grad=True)
        self.rate = rate

    def predict(self, x):
        return x * self.weight + self.bias

    def update(self):
        self.weight = self.weight - self.rate * self.weight.grad
        self.bias = self.bias - self.rate * self.bias.grad

    def clear(self):
        for parameter in (self.weight, self.bias):
            parameter.grad.zero_()


torch.manual_seed(0)
x, y = make_data(64)
model = LinearRegression(0.1)
for epoch in range(20):
    loss = (model.predict(x) - y).square().mean()
    loss.backward()
    model.update()
    model.clear()
    print(epoch, loss.item())
