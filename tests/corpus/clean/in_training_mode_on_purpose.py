"""Networks that do not learn just now and run in training mode all the same, each for a reason."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

STEPS = 8


def network(width=8, drop=0.0, out=3):
    return nn.Sequential(
        nn.Linear(6, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(drop), nn.Linear(width, out)
    )


def drops(width=8):
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Dropout(0.3), nn.Linear(width, 3))


def trained_on(student, target):
    optimizer = torch.optim.SGD(student.parameters(), lr=0.05)
    for _ in range(STEPS):
        x = torch.randn(12, 6)
        loss = F.mse_loss(student(x), target(x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def sampled_teacher():
    """Monte Carlo dropout: the mean of several passes."""
    teacher = drops(20)

    @torch.no_grad()
    def target(x):
        return torch.stack([teacher(x) for _ in range(4)]).mean(0)

    return trained_on(drops(), target)


def momentum_teacher():
    student = network()
    teacher = copy.deepcopy(student).requires_grad_(False)

    @torch.no_grad()
    def target(x):
        for own, new in zip(teacher.parameters(), student.parameters(), strict=True):
            own.lerp_(new, 0.05)
        return teacher(x)

    return trained_on(student, target)


def teacher_in_eval():
    teacher = network(16, drop=0.2).eval()

    def target(x):
        with torch.no_grad():
            return teacher(x)

    return trained_on(network(), target)


class Adapting(nn.Module):
    """A frozen body whose statistics follow the new data."""

    def __init__(self):
        super().__init__()
        self.body = network(10, out=5).requires_grad_(False)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.body(x))


def adapting_body():
    model = Adapting()
    optimizer = torch.optim.SGD(model.head.parameters(), lr=0.05)
    for _ in range(STEPS):
        loss = model(torch.randn(12, 6) + 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def critic_first():
    """The critic learns for some time before the generator does."""
    generator, critic = network(out=6), nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
    steps_g = torch.optim.Adam(generator.parameters(), lr=1e-3)
    steps_c = torch.optim.Adam(critic.parameters(), lr=1e-3)
    for step in range(STEPS):
        with torch.no_grad():
            fake = generator(torch.randn(12, 6))
        loss = critic(fake).mean() - critic(torch.randn(12, 6) + 1).mean()
        steps_c.zero_grad()
        loss.backward()
        steps_c.step()
    for _ in range(2):
        loss = -critic(generator(torch.randn(12, 6))).mean()
        steps_g.zero_grad()
        loss.backward()
        steps_g.step()
    return loss.item()


def main():
    torch.manual_seed(0)
    for train in (sampled_teacher, momentum_teacher, teacher_in_eval, adapting_body, critic_first):
        print(train.__name__, f"{train():.4f}")


main()
