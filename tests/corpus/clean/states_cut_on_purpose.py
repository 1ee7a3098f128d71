"""Recurrent cells whose states are cut where they should be: between backwards, now and then, and
where another state goes on."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def repackage(state):
    return tuple(s.detach() for s in state)


def chunks(steps=24, chunk=6):
    """Truncated: one backward and one step for each chunk."""
    cell, out = nn.LSTMCell(3, 8), nn.Linear(8, 3)
    opt = torch.optim.Adam([*cell.parameters(), *out.parameters()], lr=1e-2)
    state = (torch.zeros(4, 8), torch.zeros(4, 8))
    for begin in range(0, steps, chunk):
        state, loss = repackage(state), 0.0
        for _ in range(chunk):
            x = torch.randn(4, 3)
            state = cell(x, state)
            loss = loss + F.mse_loss(out(state[0]), x.roll(1, 1))
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss.item()


def online(steps=8):
    """One step at a time, each with a backward of its own."""
    cell, out = nn.GRUCell(3, 8), nn.Linear(8, 3)
    opt = torch.optim.SGD([*cell.parameters(), *out.parameters()], lr=0.1)
    h = torch.zeros(4, 8)
    for _ in range(steps):
        x = torch.randn(4, 3)
        h = cell(x, h.detach())
        loss = F.mse_loss(out(h), x)
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss.item()


def now_and_then(steps=8):
    """All chunks of an episode in one backward, cut at every fourth step."""
    cell, out = nn.GRUCell(3, 8), nn.Linear(8, 3)
    opt = torch.optim.SGD([*cell.parameters(), *out.parameters()], lr=0.1)
    for _ in range(3):
        h, loss = torch.zeros(4, 8), 0.0
        for t in range(steps):
            if t % 4 == 0:
                h = h.detach()
            x = torch.randn(4, 3)
            h = cell(x, h)
            loss = loss + F.mse_loss(out(h), x)
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss.item()


def refined(steps=4):
    """The estimate is detached at each turn, and the features it is refined with are not."""
    cell, out = nn.GRUCell(5, 8), nn.Linear(8, 2)
    opt = torch.optim.SGD([*cell.parameters(), *out.parameters()], lr=0.1)
    for _ in range(3):
        x = torch.randn(4, 3)
        h, flow, loss = torch.tanh(x @ torch.randn(3, 8)), torch.zeros(4, 2), 0.0
        for _ in range(steps):
            flow = flow.detach()
            h = cell(torch.cat([x, flow], 1), h)
            flow = flow + out(h)
            loss = loss + (flow - x[:, :2]).abs().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss.item()


def fed_by_its_output(steps=5):
    """The state is cut, and what the cell said goes on as its next input."""
    cell = nn.RNNCell(6, 6)
    opt = torch.optim.SGD(cell.parameters(), lr=0.1)
    for _ in range(3):
        x = h = torch.randn(4, 6)
        loss = 0.0
        for _ in range(steps):
            y = cell(x, h)
            loss = loss + y.square().mean()
            x, h = y, y.detach()
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss.item()


torch.manual_seed(0)
for each in (chunks, online, now_and_then, refined, fed_by_its_output):
    print(each.__name__, round(each(), 4))
