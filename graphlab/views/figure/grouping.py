"""Groups a graph's nodes for a figure: into module calls, variables, losses and leaves.

It uses the module call that made each node, the names of the user's variables, and which nodes are
used by one other node only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from graphlab.trace.graph import NONE, Graph, SavedTensor

GroupKind = Literal["module", "variable", "loss", "leaf", "operation"]
# The group's kind, and the number of its call or of its last node.
Key = tuple[GroupKind, int]


@dataclass(slots=True)
class Group:
    """Nodes that are drawn together. `name` is the title in the figure."""

    key: Key
    name: str
    nodes: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Groups:
    """All groups in forward order, and the links between them. A named output of a module has a
    group of its own, without nodes."""

    graph: Graph
    groups: dict[Key, Group]
    of_node: dict[int, Key]
    # For each node, the group that its output is drawn as: a variable's, or the node's own.
    exit_of: dict[int, Key]
    links: dict[tuple[Key, Key], None]

    def reaches(self, start: Iterable[Key], goal: set[Key]) -> bool:
        """Whether a path of links leads from `start` to `goal`. Links within `start` do not
        count."""
        after: dict[Key, list[Key]] = {}
        for source, target in self.links:
            after.setdefault(source, []).append(target)
        stack = [each for key in start for each in after.get(key, ())]
        seen = set(stack)
        while stack:
            key = stack.pop()
            if key in goal:
                return True
            for each in after.get(key, ()):
                if each not in seen:
                    seen.add(each)
                    stack.append(each)
        return False


def group(
    graph: Graph,
    scope: dict[int, int],
    keep_variables: bool = True,
    inside: Collection[int] = (),
    alias: Mapping[int, int] | None = None,
) -> Groups:
    """Groups the nodes of a graph.

    scope: the call whose box each node inside a module belongs to. inside: nodes whose variables
    are local to a module, and are not drawn. alias: the node that stands for another one.
    """
    names = {}
    if keep_variables:
        names = {node: name for node, name in graph.variables.items() if node not in inside}
    losses = {root.node: root.name for root in graph.roots if root.node != NONE}
    names.update(losses)
    consumers = graph.consumers()
    order = graph.order()
    of_node = _keys(graph, scope, names, losses, consumers, order, alias or {})
    groups: dict[Key, Group] = {}
    exit_of: dict[int, Key] = {}
    for node in reversed(order):
        key = of_node[node]
        groups.setdefault(key, Group(key, _name(graph, key, names))).nodes.append(node)
        exit_of[node] = key
        outside = any(of_node[each] != key for each in consumers[node])
        if key[0] == "module" and node in names and (outside or node in losses):
            kind: GroupKind = "loss" if node in losses else "variable"
            groups.setdefault((kind, node), Group((kind, node), names[node]))
            exit_of[node] = (kind, node)
    links: dict[tuple[Key, Key], None] = {}
    for node, exit_ in exit_of.items():
        if exit_ != of_node[node]:
            links[of_node[node], exit_] = None
    for edge in graph.edges():
        if edge.source in graph.leaves and of_node[edge.source][0] == "module":
            continue
        source, target = exit_of[edge.source], of_node[edge.node]
        if of_node[edge.source] != target:
            links[source, target] = None
    in_time = sorted(groups.values(), key=lambda each: _time(graph, each))
    return Groups(graph, {each.key: each for each in in_time}, of_node, exit_of, links)


def _keys(
    graph: Graph,
    scope: dict[int, int],
    names: dict[int, str],
    losses: dict[int, str],
    consumers: list[list[int]],
    order: list[int],
    alias: Mapping[int, int],
) -> dict[int, Key]:
    of_node: dict[int, Key] = {}
    for node in order:
        if node in scope:
            of_node[node] = ("module", scope[node])
        elif node in losses:
            of_node[node] = ("loss", node)
        elif node in graph.leaves:
            of_node[node] = _leaf(graph, node, consumers, scope)
        elif node in names and not _continued(graph, node, names, consumers):
            of_node[node] = ("variable", node)
        elif node not in alias:
            users = {of_node.get(alias.get(each, each)) for each in consumers[node]}
            only = users.pop() if len(users) == 1 else None
            # A node used by one expression only is part of it. A module's box is no expression, and
            # nodes inside a module are not part of a variable outside.
            joins = only is not None and only[0] != "module"
            if joins and only is not None and node in graph.call_of:
                joins = graph.call_of.get(only[1]) == graph.call_of[node]
            of_node[node] = only if joins and only is not None else ("operation", node)
    for node, other in alias.items():
        if node not in of_node:
            of_node[node] = of_node[other]
    return of_node


def _continued(graph: Graph, node: int, names: dict[int, str], consumers: list[list[int]]) -> bool:
    """Whether the node is an intermediate result of the statement that assigns the variable."""
    users = consumers[node]
    return len(users) == 1 and (
        names.get(users[0]) == names[node] and graph.places.get(users[0]) == graph.places.get(node)
    )


def _time(graph: Graph, each: Group) -> tuple[int, int]:
    """The sort key of a group by time: when its module call began, or when its value was made."""
    kind, number = each.key
    if kind != "module":
        when = graph.sequences[number] if graph.sequences else -number
        return when, 1
    made = [node for node in each.nodes if node not in graph.leaves]
    return min((graph.sequences[n] if graph.sequences else -n for n in made), default=-1), 0


def _leaf(graph: Graph, node: int, consumers: list[list[int]], scope: dict[int, int]) -> Key:
    """The group of a leaf. A parameter that only one module uses belongs to that module's group."""
    users = {scope.get(each, NONE) for each in consumers[node]}
    modules = {graph.calls[each].module for each in users if each != NONE}
    if NONE not in users and len(modules) == 1:
        return ("module", min(users))
    return ("leaf", node)


def _name(graph: Graph, key: Key, names: dict[int, str]) -> str:
    kind, number = key
    if kind == "module":
        return graph.calls[number].module
    if kind == "leaf":
        return graph.leaves[number].name or "leaf"
    return names.get(number) or graph.operations[number].removesuffix("0").removesuffix("Backward")


def nodes_with_stale_saved(graph: Graph) -> dict[int, list[SavedTensor]]:
    """The nodes with stale or bypassed saved tensors, and those tensors."""
    found: dict[int, list[SavedTensor]] = {}
    for node, saved in graph.saved.items():
        for each in saved:
            if each.state in ("stale", "bypassed"):
                found.setdefault(node, []).append(each)
    return found


@dataclass(frozen=True, slots=True)
class FailedBackward:
    """Why the backward of loss number `root` fails: the first node that it cannot run, with the
    saved tensor at fault, and the path to it."""

    root: int
    node: int
    saved: SavedTensor
    path: tuple[int, ...]


def failed_backward(
    graph: Graph, bad: dict[int, list[SavedTensor]] | None = None
) -> FailedBackward | None:
    """The failure of the last loss that raised, or else of the last one that a stale or bypassed
    tensor harms. A backward that did not raise met no stale tensor: what is stale by now was
    written after it. Only a bypassed one can have harmed it, and of several losses the last, before
    whose backward the graph was looked at.

    The engine runs the latest node first, so it reports that node's tensor. `bad` is the result of
    `nodes_with_stale_saved`, where it is known."""
    if bad is None:
        bad = nodes_with_stale_saved(graph)
    raised = [at for at, root in enumerate(graph.roots) if root.raised]
    if not bad and not raised:
        return None
    for at in reversed(raised or range(len(graph.roots))):
        root = graph.roots[at]
        seen = graph.reached_by(root.node)
        harmless = bool(root.call) and not root.raised
        if harmless and at != len(graph.roots) - 1:
            continue
        met = [
            node
            for node, saved in bad.items()
            if node in seen and not (harmless and all(each.state == "stale" for each in saved))
        ]
        if not met and root.raised:
            freed = {
                node: [each for each in saved if each.state == "freed"]
                for node, saved in graph.saved.items()
                if node in seen
            }
            bad = {node: saved for node, saved in freed.items() if saved}
            met = list(bad)
        if met:
            latest = graph.sequences or tuple(-node for node in range(len(graph)))
            node = max(met, key=lambda each: latest[each])
            saved = next((each for each in bad[node] if each.by), bad[node][0])
            return FailedBackward(at, node, saved, _path(graph, root.node, node))
    return None


def _path(graph: Graph, start: int, goal: int) -> tuple[int, ...]:
    """The shortest path from a loss to a node, both included."""
    back = {start: NONE}
    queue = [start]
    for node in queue:
        if node == goal:
            break
        for source in graph.inputs[node]:
            if source != NONE and source not in back:
                back[source] = node
                queue.append(source)
    found = [goal]
    while found[-1] != start:
        found.append(back[found[-1]])
    return tuple(reversed(found))
