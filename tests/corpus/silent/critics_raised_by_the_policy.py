"""SAC-like update where actor and critics are updated together (several critic updates per call)."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def mlp(i, o):
    return nn.Sequential(nn.Linear(i, 24), nn.ReLU(), nn.Linear(24, o))


class REDQ:
    def __init__(self, obs=5, act=2, n_q=2, lr=3e-3):
        self.policy = mlp(obs, act)
        self.q_list = [mlp(obs + act, 1) for _ in range(n_q)]
        self.policy_optimizer = torch.optim.Adam(self.policy.parameters(), lr=lr)
        self.q_optimizers = [torch.optim.Adam(q.parameters(), lr=lr) for q in self.q_list]

    def update(self, s, a, target):
        sa = torch.cat([s, a], 1)
        q_loss = sum(F.mse_loss(q(sa), target) for q in self.q_list)
        for opt in self.q_optimizers:
            opt.zero_grad()
        q_loss.backward()
        # the policy, with the mean of all critics
        pi = torch.tanh(self.policy(s))
        q_pi = torch.stack([q(torch.cat([s, pi], 1)) for q in self.q_list]).mean(0)
        policy_loss = -q_pi.mean()
        self.policy_optimizer.zero_grad()
        policy_loss.backward()
        # all networks at once
        for opt in self.q_optimizers:
            opt.step()
        self.policy_optimizer.step()
        return q_loss.item(), policy_loss.item()


torch.manual_seed(3)
agent = REDQ()
for it in range(10):
    s, a = torch.randn(24, 5), torch.rand(24, 2) * 2 - 1
    out = agent.update(s, a, (s[:, :1] * a[:, :1]))
    print(it, *(round(v, 4) for v in out))
