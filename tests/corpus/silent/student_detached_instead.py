"""Distillation: the student's side of the divergence is detached, not the teacher's."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Distiller:
    def __init__(self, teacher, student, temperature=2.0, alpha=0.3):
        self.teacher, self.student = teacher.eval(), student
        self.temperature, self.alpha = temperature, alpha
        self.optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)

    def loss(self, x, y):
        logits = self.student(x)
        hard = F.cross_entropy(logits, y)
        soft = F.kl_div(
            F.log_softmax(logits.detach() / self.temperature, dim=-1),
            F.softmax(self.teacher(x) / self.temperature, dim=-1),
            reduction="batchmean",
        )
        return self.alpha * hard + (1 - self.alpha) * soft * self.temperature**2

    def step(self, x, y):
        loss = self.loss(x, y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def main():
    teacher = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    distiller = Distiller(teacher, nn.Linear(8, 3))
    for step in range(10):
        x = torch.randn(16, 8)
        print(step, round(distiller.step(x, x[:, :3].argmax(1)), 4))


if __name__ == "__main__":
    main()
