"""Which reads of `.grad` take its values."""

from __future__ import annotations

import pytest

from graphlab.source.grad_reads import takes_gradients


@pytest.mark.parametrize(
    "line",
    [
        "kept = p.grad.clone()",
        "total += p.grad",
        "fisher[name] += p.grad.data ** 2",
        "score += p.grad.abs()",
        "grads = [p.grad for p in net.parameters()]",
        "flat = torch.cat([p.grad.detach().view(-1) for p in parameters])",
        "kept.append(x.grad)",
        "x = x + epsilon * x.grad.sign()",
        "return p.grad",
    ],
)
def test_taken(line: str) -> None:
    body = f"def f():\n    {line}\n" if line.startswith("return") else line
    assert takes_gradients(body)


@pytest.mark.parametrize(
    "line",
    [
        "p.grad = None",
        "p.grad.zero_()",
        "p.grad.data.clamp_(-1, 1)",
        "if p.grad is not None:\n    pass",
        "norm = p.grad.norm()",
        "total += p.grad.data.norm(2).item() ** 2",
        "print(p.grad)",
        "writer.add_histogram(name, p.grad, step)",
        "bad = torch.isnan(p.grad).any()",
        "g = torch.autograd.grad(loss, x)[0]",
        "optimizer.step()",
        "this is no Python",
    ],
)
def test_looked_at_or_changed(line: str) -> None:
    assert not takes_gradients(line)
