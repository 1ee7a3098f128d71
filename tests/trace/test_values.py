"""Who owns a parameter: the variable of its module, or the part of it that one optimizer trains."""

from __future__ import annotations

from graphlab.trace.values import TensorInfo, by_parts, parts

G, D = frozenset({0}), frozenset({1})


def test_parts_that_two_optimizers_train_own_their_parameters() -> None:
    named = {
        "model.generator.0.weight": ("model", G),
        "model.critic.0.weight": ("model", D),
        "model.critic.0.bias": ("model", frozenset[int]()),
        "other.weight": ("other", D),
    }
    assert parts(named) == {
        "model.generator.0.weight": "model.generator",
        "model.critic.0.weight": "model.critic",
        "model.critic.0.bias": "model.critic",
        "other.weight": "other",
    }


def test_a_part_may_lie_two_modules_down() -> None:
    named = {
        "task.net.body.weight": ("task", G),
        "task.net.head.weight": ("task", D),
        "task.log_alpha": ("task", D),
    }
    assert sorted(parts(named).values()) == ["task", "task.net.body", "task.net.head"]


def test_optimizers_that_share_layers_leave_the_module_whole() -> None:
    kinds = {f"net.{n}.{kind}": ("net", at) for n in range(3) for kind, at in (("w", G), ("b", D))}
    many = {f"net.block{n}.w": ("net", (G, D)[n % 2]) for n in range(9)}
    deep = {"net.a.b.c.d.w": ("net", G), "net.a.b.c.e.w": ("net", D)}
    assert parts(kinds) == {}
    assert parts(many) == {}
    assert parts(deep) == {}


def test_a_lone_tensor_beside_modules_is_its_own() -> None:
    named = {
        "agent.log_alpha": ("agent", G),
        "agent.critic.weight": ("agent.critic", D),
        "scale.weight": ("scale", D),
    }
    assert parts(named)["agent.log_alpha"] == "agent.log_alpha"
    assert parts(named)["scale.weight"] == "scale"


def test_only_parameters_change_their_owner() -> None:
    def made(name: str, kind: str) -> TensorInfo:
        return TensorInfo(name, kind, (2,), "float32", "net")  # pyright: ignore

    tensors = [made("net.a.w", "parameter"), made("net.b.w", "parameter"), made("net.x", "buffer")]
    found = by_parts(tensors, [[0], [1]])
    assert [each.owner for each in found] == ["net.a", "net.b", "net"]
    assert by_parts(tensors, [[0, 1]]) == tuple(tensors)
