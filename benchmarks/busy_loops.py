"""Training loops that spend their time in Python: in an environment, in data code, in a search."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from typing import Any

import torch
from loops import Train
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset


class GridWorld:
    """A walk to the goal past walls and a ghost that follows; every cell is looked at in Python."""

    MOVES = ((0, 1), (0, -1), (1, 0), (-1, 0))

    def __init__(self, size: int, chance: random.Random) -> None:
        self.size = size
        self.chance = chance
        self.walls = {(x, y) for x in range(size) for y in range(size) if (3 * x + 5 * y) % 7 == 3}
        self.reset()

    def reset(self) -> list[float]:
        self.at = (0, 0)
        self.goal = (self.size - 1, self.size - 1)
        self.ghost = (self.size - 1, 0)
        self.time = 0
        return self.observe()

    def free(self, cell: tuple[int, int]) -> bool:
        x, y = cell
        if not 0 <= x < self.size or not 0 <= y < self.size:
            return False
        return cell not in self.walls

    def observe(self) -> list[float]:
        seen = []
        for x in range(self.size):
            for y in range(self.size):
                if (x, y) == self.at:
                    seen.append(1.0)
                elif (x, y) == self.goal:
                    seen.append(0.5)
                elif (x, y) == self.ghost:
                    seen.append(-1.0)
                elif (x, y) in self.walls:
                    seen.append(-0.5)
                else:
                    seen.append(0.0)
        return seen

    def distances(self, start: tuple[int, int]) -> dict[tuple[int, int], int]:
        found = {start: 0}
        waiting = deque([start])
        while waiting:
            x, y = waiting.popleft()
            for dx, dy in self.MOVES:
                near = (x + dx, y + dy)
                if near not in found and self.free(near):
                    found[near] = found[x, y] + 1
                    waiting.append(near)
        return found

    def step(self, action: int) -> tuple[list[float], float, bool]:
        dx, dy = self.MOVES[action]
        wanted = (self.at[0] + dx, self.at[1] + dy)
        if self.free(wanted):
            self.at = wanted
        self.time += 1
        far = self.distances(self.at)
        if self.chance.random() < 0.5:
            x, y = self.ghost
            ways = [(x + dx, y + dy) for dx, dy in self.MOVES]
            ways = [way for way in ways if way in far]
            self.ghost = min(ways, key=far.__getitem__, default=self.ghost)
        if self.at == self.goal:
            return self.observe(), 1.0, True
        if self.at == self.ghost or self.time == 100:
            return self.observe(), -1.0, True
        return self.observe(), -0.01 * far.get(self.goal, 0), False


def pyrl() -> Train:
    """a DQN in a 10×10 grid world, with a replay buffer"""
    torch.manual_seed(0)
    chance = random.Random(0)
    world = GridWorld(10, chance)
    online = nn.Sequential(nn.Linear(100, 64), nn.ReLU(), nn.Linear(64, 4))
    target = nn.Sequential(nn.Linear(100, 64), nn.ReLU(), nn.Linear(64, 4))
    target.load_state_dict(online.state_dict())
    optimizer = torch.optim.Adam(online.parameters(), 1e-3)
    replay: deque[Any] = deque(maxlen=5000)

    def act(state: list[float]) -> int:
        if chance.random() < 0.1:
            return chance.randrange(4)
        with torch.no_grad():
            return int(online(torch.tensor(state)).argmax())

    def train(steps: Iterable[int]) -> None:
        state = world.reset()
        for step, _ in enumerate(steps):
            for _ in range(4):
                action = act(state)
                following, reward, done = world.step(action)
                replay.append((state, action, reward, following, done))
                state = world.reset() if done else following
            if len(replay) < 32:
                continue
            states, actions, rewards, after, ends = zip(*chance.sample(replay, 32), strict=True)
            q = online(torch.tensor(states)).gather(1, torch.tensor(actions)[:, None]).squeeze(1)
            with torch.no_grad():
                best = target(torch.tensor(after)).max(dim=1).values
                wanted = torch.tensor(rewards) + 0.95 * best * ~torch.tensor(ends)
            loss = F.smooth_l1_loss(q, wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 50 == 0:
                target.load_state_dict(online.state_dict())

    return train


def edit_distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        corner, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            cost = corner if x == y else 1 + min(corner, row[j], row[j - 1])
            corner = row[j]
            row[j] = cost
    return row[-1]


class Pairs(Dataset[Any]):
    def __init__(self, count: int) -> None:
        chance = random.Random(0)
        words = ["".join(chance.choices("abcd", k=12)) for _ in range(2 * count)]
        self.pairs = list(zip(words[:count], words[count:], strict=True))

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        a, b = self.pairs[index]
        letters = torch.tensor([ord(letter) - ord("a") for letter in a + b])
        return letters, torch.tensor(float(edit_distance(a, b)))


def pydata() -> Train:
    """a regression on edit distances, which the Dataset computes in Python; batch 16"""
    torch.manual_seed(0)
    loader = DataLoader(Pairs(512), batch_size=16, shuffle=True, num_workers=0)
    net = nn.Sequential(
        nn.Embedding(4, 8), nn.Flatten(), nn.Linear(192, 64), nn.ReLU(), nn.Linear(64, 1)
    )
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)

    def epochs() -> Iterable[Any]:
        while True:
            yield from loader

    def train(steps: Iterable[int]) -> None:
        for _, (x, y) in zip(steps, epochs(), strict=False):
            loss = F.mse_loss(net(x).squeeze(1), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train


def wins(heaps: tuple[int, ...], depth: int) -> int:
    """Whether who moves wins this game of Nim, by trying every move."""
    if not any(heaps):
        return -1
    if depth == 0:
        return 0
    best = -1
    for at, heap in enumerate(heaps):
        for taken in range(1, heap + 1):
            left = (*heaps[:at], heap - taken, *heaps[at + 1 :])
            score = -wins(left, depth - 1)
            if score > best:
                best = score
            if best == 1:
                return best
    return best


def pysearch() -> Train:
    """a recursive search of a game, whose outcome one Linear learns"""
    torch.manual_seed(0)
    chance = random.Random(0)
    net = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(net.parameters(), 1e-2)

    def train(steps: Iterable[int]) -> None:
        for _ in steps:
            games = [tuple(chance.choices(range(2, 5), k=3)) for _ in range(4)]
            scores = [float(wins(heaps, 4)) for heaps in games]
            loss = F.mse_loss(net(torch.tensor(games).float()).squeeze(1), torch.tensor(scores))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train
