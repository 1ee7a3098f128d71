"""GL108 and what it measures, against what torch's own hooks see of the bytes saved."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from graphlab.trace.finding import Finding


def wasted(findings: list[Finding], call: str) -> list[Finding]:
    return [
        each
        for each in findings
        if each.code == "GL108" and each.failed is not None and each.failed.what == call
    ]


def saved_by(forward: Any, leaves: list[Tensor]) -> int:
    """Bytes of the tensors that a forward pass saves, each once, but for the leaves' own."""
    owned = {each.untyped_storage().data_ptr() for each in leaves}
    # Held, so that no address is used twice.
    held: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in owned:
            held[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = forward()
    assert loss.requires_grad
    return sum(each.numel() * each.element_size() for each in held.values())


@pytest.mark.parametrize("name", ["naive", "recompute"])
def test_ds_step_runs_through_g_for_nothing(
    observe: Any, line_in: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from graphlab import catalogue, lab

    ran = observe(name)
    (finding,) = wasted(ran.findings, "D_loss_.backward()")
    path = catalogue.scenario(name).path
    assert (finding.severity, finding.iteration) == ("info", 0)
    assert finding.failed.at.line == line_in(path, "D_loss_.backward(retain_graph=True)")
    text = path.read_text(encoding="utf-8").splitlines()
    assert text[finding.cause.at.line - 1].strip() == "gene_logit = D(gene_img)"
    assert finding.cause.what.startswith("gene_img ")

    # The same forward pass, with the detach and without.
    monkeypatch.setattr(sys, "argv", [str(path), "--device", "cpu"])
    args = lab.arguments("The forward pass of D's step.")
    G, D = lab.networks(args)
    img, _ = next(iter(lab.batches(args)))
    latent_z = torch.randn(img.shape[0], args.n_latent)
    leaves = [*G.parameters(), *D.parameters()]

    def forward(detach: bool) -> Tensor:
        gene_img = G(latent_z)
        real_logit, gene_logit = D(img), D(gene_img.detach() if detach else gene_img)
        Z_B = torch.sum(torch.exp(-real_logit)) + torch.sum(torch.exp(-gene_logit))
        return torch.mean(real_logit) + torch.log(Z_B)

    whole = saved_by(lambda: forward(False), leaves)
    # With the detach, G's part is built all the same and belongs to no loss.
    with torch.no_grad():
        gene_img = G(latent_z)
    alone = saved_by(
        lambda: (
            torch.mean(real := D(img))
            + torch.log(torch.sum(torch.exp(-real)) + torch.sum(torch.exp(-D(gene_img))))
        ),
        leaves,
    )
    measured = finding.measured
    assert measured["of_saved_bytes"] == whole
    assert measured["saved_bytes"] == whole - alone
    assert f"{(whole - alone) / whole:.0%} of its saved bytes" in finding.summary
    sizes = [p.numel() * p.element_size() for p in G.parameters()]
    assert (measured["gradients"], measured["gradient_bytes"]) == (len(sizes), sum(sizes))


def test_the_detach_that_it_shows_saves_the_waste(observe: Any, tmp_path: Path) -> None:
    from graphlab import catalogue

    path = catalogue.scenario("recompute").path
    source = path.read_text(encoding="utf-8")
    findings = wasted(observe("recompute").findings, "D_loss_.backward()")
    findings += wasted(observe("recompute").findings, "G_loss_.backward()")
    assert len(findings) == 2
    for finding in findings:
        (help,) = finding.help
        assert help.before in source
        source = source.replace(help.before, help.after, 1)
    repaired = tmp_path / "repaired.py"
    repaired.write_text(source, encoding="utf-8")
    assert observe(repaired, "--steps", "8", "--device", "cpu").findings == []


SCRIPT = """
    import torch
    from torch import nn
    torch.manual_seed(0)
    body, head = nn.Sequential(nn.Linear(4, 64), nn.Tanh()), nn.Linear(64, 1)
    optimizer_b = torch.optim.SGD(body.parameters(), lr=0.01)
    optimizer_h = torch.optim.SGD(head.parameters(), lr=0.01)
    x, y = torch.randn(8, 4), torch.randn(8, 1)
    for step in range({steps}):
        features = body(x)
        loss = (head({features}) - y).pow(2).mean()
        {clear}
        loss.backward()
        optimizer_h.step()
        {late}
"""


def script(tmp_path: Path, **words: Any) -> Path:
    path = tmp_path / "script.py"
    full = {"steps": 5, "features": "features", "clear": "optimizer_h.zero_grad()", "late": "pass"}
    path.write_text(textwrap.dedent(SCRIPT.format(**{**full, **words})), encoding="utf-8")
    return path


@pytest.mark.parametrize("clear", [
    "body.zero_grad()", "optimizer_b.zero_grad()", "optimizer_b.zero_grad(set_to_none=False)",
    "for p in body.parameters(): p.grad = None",
])  # fmt: skip
def test_a_frozen_body_that_is_not_detached(observe: Any, tmp_path: Path, clear: str) -> None:
    words = {"clear": "optimizer_h.zero_grad()", "late": clear}
    findings = observe(script(tmp_path, **words)).findings
    (finding,) = wasted(findings, "loss.backward()")
    # An optimizer whose gradients are cleared and that never steps is told apart from the waste.
    assert {each.code for each in findings} <= {"GL108", "GL111"}
    assert finding.measured["gradients"] == 2
    assert "2 parameters of body" in finding.summary
    (help,) = finding.help
    assert "head(features.detach())" in help.after
    words["features"] = "features.detach()"
    told = [each.code for each in observe(script(tmp_path, **words)).findings]
    assert "GL108" not in told


def test_the_first_case_of_a_long_run_is_kept(observe: Any, tmp_path: Path) -> None:
    path = script(tmp_path, steps=3_000, late="optimizer_b.zero_grad()")
    (finding,) = wasted(observe(path).findings, "loss.backward()")
    assert finding.iteration == 0


def test_gradients_that_every_step_uses_are_no_waste(observe: Any, tmp_path: Path) -> None:
    path = script(tmp_path, late="optimizer_b.step(); optimizer_b.zero_grad()")
    assert observe(path).findings == []


def test_weights_whose_layers_are_on_the_way_are_no_waste(observe: Any, tmp_path: Path) -> None:
    """No detach saves the gradients of D in G's step: G's own come through D."""
    path = tmp_path / "gan.py"
    path.write_text(
        textwrap.dedent("""
            import torch
            from torch import nn
            from torch.nn.functional import softplus
            torch.manual_seed(0)
            G = nn.Sequential(nn.Linear(4, 16), nn.Tanh())
            D = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
            optimizer_G = torch.optim.SGD(G.parameters(), lr=0.01)
            optimizer_D = torch.optim.SGD(D.parameters(), lr=0.01)
            for step in range(6):
                fake = G(torch.randn(8, 4))
                optimizer_G.zero_grad()
                G_loss = softplus(-D(fake)).mean()
                G_loss.backward()
                optimizer_G.step()
                optimizer_D.zero_grad()
                real = torch.randn(8, 16)
                D_loss = softplus(-D(real)).mean() + softplus(D(fake.detach())).mean()
                D_loss.backward()
                optimizer_D.step()
        """),
        encoding="utf-8",
    )
    assert observe(path).findings == []


def test_gradients_that_the_program_reads_itself_are_no_waste(observe: Any, tmp_path: Path) -> None:
    path = tmp_path / "fisher.py"
    path.write_text(
        textwrap.dedent("""
            import torch
            from torch import nn
            torch.manual_seed(0)
            body, head = nn.Sequential(nn.Linear(4, 8), nn.Tanh()), nn.Linear(8, 1)
            optimizer_b = torch.optim.SGD(body.parameters(), lr=0.01)
            optimizer_h = torch.optim.SGD(head.parameters(), lr=0.01)
            fisher = 0.0
            for step in range(8):
                score = head(body(torch.randn(3, 4))).pow(2).mean()
                score.backward()
                fisher += sum(p.grad.pow(2).sum().item() for p in body.parameters())
                optimizer_b.zero_grad()
                optimizer_h.zero_grad()
                loss = head(body(torch.randn(3, 4))).pow(2).mean()
                loss.backward()
                optimizer_b.step()
                optimizer_h.step()
                optimizer_b.zero_grad()
                optimizer_h.zero_grad()
        """),
        encoding="utf-8",
    )
    assert observe(path).findings == []


def test_a_closure_evaluated_many_times_wastes_nothing(observe: Any, tmp_path: Path) -> None:
    import graphlab

    torch.manual_seed(0)
    body, head = torch.nn.Linear(4, 4), torch.nn.Linear(4, 1)
    optimizer = torch.optim.LBFGS(body.parameters(), max_iter=5)
    other = torch.optim.SGD(head.parameters(), lr=0.01)
    x = torch.randn(6, 4)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        other.zero_grad()
        loss = (head(body(x)) - 1).pow(2).mean()
        loss.backward()
        return loss

    with graphlab.watch() as session:
        for _ in range(3):
            optimizer.step(closure)
            other.step()
    session.assert_no_wasted_gradients()
    assert not [each for each in session.findings if each.code == "GL108"]
