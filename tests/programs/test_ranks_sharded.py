"""Programs of two ranks whose modules fully_shard has sharded, and the repairs of them."""

from __future__ import annotations

from pathlib import Path

from tests.programs.test_ranks import pytestmark as pytestmark
from tests.programs.test_ranks import report
from tests.programs.test_ranks_wrappers import HEAD, LAUNCH, grave, repaired

PAUSED = """\
model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
fully_shard(model)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
torch.manual_seed(100 + rank)
for step in range(8):
    model.set_requires_gradient_sync(step % 2 == 2)
    model(torch.randn(8, 6)).square().mean().backward()
    if step % 2 == 1:
        optimizer.step()
        optimizer.zero_grad()
dist.destroy_process_group()
"""
METHODS = """\
class Coder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(6, 3), nn.Linear(3, 6)

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z)


model = Coder()
fully_shard(model)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
torch.manual_seed(100 + rank)
for step in range(3):
    x = torch.randn(8, 6)
    z = model.encode(x)
    loss = (model.decode(z) - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
dist.destroy_process_group()
"""


def test_no_backward_hands_out_gradients(tmp_path: Path) -> None:
    _, document, _ = report(HEAD + PAUSED, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["ranks"]) == ("GL110", [0, 1])
    assert finding["cause"]["code"] == "model.set_requires_gradient_sync(step % 2 == 2)"
    repaired(HEAD + PAUSED, finding, tmp_path)


def test_methods_that_go_past_the_forward(tmp_path: Path) -> None:
    _, document, _ = report(HEAD + METHODS, tmp_path, *LAUNCH)
    (finding,) = grave(document)
    assert (finding["code"], finding["cause"]["code"]) == ("GL307", "z = model.encode(x)")
    repaired(HEAD + METHODS, finding, tmp_path)


HEAD_BESIDE = """\
body, head = nn.Linear(6, 4), nn.Linear(4, 1)
fully_shard(body)
parameters = [*body.parameters(), *head.parameters()]
optimizer = torch.optim.SGD(parameters, 0.1, foreach=False)
torch.manual_seed(100 + rank)
for step in range(4):
    x = torch.randn(8, 6)
    loss = (head(body(x)) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    for p in head.parameters():
        dist.all_reduce(p.grad)
        p.grad /= 2
    optimizer.step()
dist.destroy_process_group()
"""


def test_what_is_gathered_beside_a_head_that_is_whole(tmp_path: Path) -> None:
    code, document, _ = report(HEAD + HEAD_BESIDE, tmp_path, *LAUNCH)
    assert (code, grave(document)) == (0, [])
