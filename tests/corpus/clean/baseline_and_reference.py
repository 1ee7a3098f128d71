"""Policy gradient with a learned baseline, a fixed reference policy and entropy."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
policy, value = nn.Linear(4, 3), nn.Linear(4, 1)
reference = nn.Linear(4, 3)
reference.load_state_dict(policy.state_dict())
optimizer = torch.optim.Adam([*policy.parameters(), *value.parameters()], lr=1e-2)
for step in range(16):
    state = torch.randn(32, 4)
    dist = torch.distributions.Categorical(logits=policy(state))
    action = dist.sample()
    reward = (action == state[:, :3].argmax(1)).float()
    with torch.no_grad():
        ref = torch.distributions.Categorical(logits=reference(state))
        kl = (dist.log_prob(action) - ref.log_prob(action)).mean()
    guess = value(state).squeeze(1)
    advantage = reward - guess.detach()
    pg_loss = -(dist.log_prob(action) * (advantage - 0.01 * kl)).mean()
    v_loss = F.mse_loss(guess, reward)
    ref_loss = -ref.log_prob(action).mean()
    loss = pg_loss + 0.5 * v_loss - 0.01 * dist.entropy().mean() - 1e-3 * ref_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")
