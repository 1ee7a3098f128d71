"""DQN on a corridor, with a replay memory and a target network synchronised now and then."""

import random
from collections import deque, namedtuple

import torch
from torch import nn

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))
BATCH, GAMMA, SYNC = 16, 0.9, 10


class DQN(nn.Module):
    def __init__(self, n_observations=6, n_actions=2):
        super().__init__()
        self.layer1 = nn.Linear(n_observations, 24)
        self.layer2 = nn.Linear(24, n_actions)

    def forward(self, x):
        return self.layer2(torch.relu(self.layer1(x)))


def one_hot(position):
    return torch.eye(6)[position]


def optimize_model(policy_net, target_net, memory, optimizer):
    if len(memory) < BATCH:
        return None
    batch = Transition(*zip(*random.sample(memory, BATCH), strict=True))
    keep = torch.tensor([s is not None for s in batch.next_state])
    state, action = torch.stack(batch.state), torch.tensor(batch.action)[:, None]
    q = policy_net(state).gather(1, action).squeeze(1)
    next_value = torch.zeros(BATCH)
    with torch.no_grad():
        following = torch.stack([s for s in batch.next_state if s is not None])
        next_value[keep] = target_net(following).max(1).values
    loss = nn.functional.smooth_l1_loss(q, torch.tensor(batch.reward) + GAMMA * next_value)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()
    return loss.item()


def main():
    torch.manual_seed(0)
    random.seed(0)
    policy_net, target_net = DQN(), DQN()
    target_net.load_state_dict(policy_net.state_dict())
    optimizer = torch.optim.AdamW(policy_net.parameters(), lr=5e-3, amsgrad=True)
    memory = deque(maxlen=200)
    position = 2
    for t in range(80):
        if random.random() < max(0.1, 1 - t / 50):
            action = random.randrange(2)
        else:
            with torch.no_grad():
                action = policy_net(one_hot(position)).argmax().item()
        nxt = max(0, position + (1 if action else -1))
        done = nxt == 5
        following = None if done else one_hot(nxt)
        memory.append(Transition(one_hot(position), action, following, float(done)))
        loss = optimize_model(policy_net, target_net, memory, optimizer)
        if t % SYNC == 0:
            target_net.load_state_dict(policy_net.state_dict())
        if t % 20 == 19:
            print(f"t {t} loss {loss:.5f}")
        position = random.randrange(5) if done else nxt


if __name__ == "__main__":
    main()
