"""Features that forward hooks keep detached: for the log, of a teacher; and a baseline of one's own."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def network(width):
    return nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 4), nn.Tanh())


class Tap:
    def __init__(self, module, detached):
        self.kept, self.detached = None, detached
        module.register_forward_hook(self.keep)

    def keep(self, module, inputs, output):
        self.kept = output.detach() if self.detached else output


class Log:
    def __init__(self, module):
        self.last = None
        module.register_forward_hook(self.keep)

    def keep(self, module, inputs, output):
        self.last = output.detach()

    def spread(self):
        return self.last.std().item()


class Training:
    def __init__(self):
        self.teacher, self.student = network(8), network(5)
        self.teacher.requires_grad_(False)
        self.of_teacher, self.of_student = Tap(self.teacher[1], True), Tap(self.student[1], False)
        self.log = Log(self.student[1])
        self.head = nn.Linear(5, 8)
        self.optimizer = torch.optim.SGD(
            [*self.student.parameters(), *self.head.parameters()], lr=0.05
        )
        self.baseline = torch.zeros(())

    def follow(self, value):
        self.baseline = 0.9 * self.baseline + 0.1 * value.detach()

    def step(self, x, y):
        self.teacher(x)
        out = self.student(x)
        task = F.mse_loss(out, y)
        hint = F.mse_loss(self.head(self.of_student.kept), self.of_teacher.kept)
        # The baseline changes the number that is shown, and no gradient.
        loss = task + 0.5 * hint - self.baseline
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.follow(task)
        return loss.item(), self.log.spread()


training = Training()
for turn in range(8):
    x = torch.randn(16, 6)
    loss, spread = training.step(x, torch.sin(x[:, :4]))
    print(turn, f"{loss:.4f} {spread:.4f}")
