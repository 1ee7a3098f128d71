"""Clipping of more than one network's gradients, and of those that are stepped later."""

import torch
from torch import nn

torch.manual_seed(0)
actor, critic = nn.Linear(4, 2), nn.Linear(6, 1)
actor_optimizer = torch.optim.SGD(actor.parameters(), lr=0.05)
critic_optimizer = torch.optim.SGD(critic.parameters(), lr=0.05)
both = [*actor.parameters(), *critic.parameters()]
norms = []


def losses():
    state = torch.randn(16, 4)
    action = torch.tanh(actor(state))
    value = critic(torch.cat([state, action], 1))
    wanted = critic(torch.cat([state, action.detach()], 1)) - state.sum(1, keepdim=True)
    return -value.mean(), wanted.square().mean()


for step in range(4):
    # Both networks have one norm, and the actor's step is next.
    actor_loss, _ = losses()
    actor_optimizer.zero_grad()
    actor_loss.backward()
    nn.utils.clip_grad_norm_(both, 0.1)
    actor_optimizer.step()
    critic_optimizer.zero_grad()

for step in range(4):
    # What is clipped first is stepped last.
    actor_loss, critic_loss = losses()
    actor_optimizer.zero_grad()
    critic_optimizer.zero_grad()
    critic_loss.backward()
    nn.utils.clip_grad_norm_(critic.parameters(), 0.1)
    actor_loss.backward(inputs=list(actor.parameters()))
    nn.utils.clip_grad_norm_(actor.parameters(), 0.1)
    actor_optimizer.step()
    critic_optimizer.step()
    print(step, actor_loss.item(), critic_loss.item())

for step in range(4):
    # The norm of what the actor's loss does to the critic, for the log.
    actor_loss, critic_loss = losses()
    actor_optimizer.zero_grad()
    actor_loss.backward()
    norms.append(nn.utils.clip_grad_norm_(critic.parameters(), float("inf")).item())
    actor_optimizer.step()
    critic_optimizer.zero_grad()
print(len(norms))
