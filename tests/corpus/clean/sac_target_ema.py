"""Soft actor-critic on a point-mass: twin critics, averaged targets, a learnt temperature."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal


def mlp(n_in, n_out, width=24):
    return nn.Sequential(nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, n_out))


class Policy(nn.Module):
    def __init__(self, obs=2, act=1):
        super().__init__()
        self.net = mlp(obs, 2 * act)

    def forward(self, obs):
        mu, log_std = self.net(obs).chunk(2, dim=-1)
        dist = Normal(mu, log_std.clamp(-5, 1).exp())
        u = dist.rsample()
        log_prob = dist.log_prob(u) - 2 * (0.693147 - u - F.softplus(-2 * u))
        return torch.tanh(u), log_prob.sum(-1)


class SAC:
    def __init__(self, gamma=0.95, polyak=0.98):
        self.pi, self.q1, self.q2 = Policy(), mlp(3, 1), mlp(3, 1)
        self.q1_targ, self.q2_targ = copy.deepcopy(self.q1), copy.deepcopy(self.q2)
        self.log_alpha = torch.zeros((), requires_grad=True)
        self.gamma, self.polyak = gamma, polyak
        self.pi_optimizer = torch.optim.Adam(self.pi.parameters(), lr=3e-3)
        self.q_optimizer = torch.optim.Adam([*self.q1.parameters(), *self.q2.parameters()], lr=3e-3)
        self.alpha_optimizer = torch.optim.Adam([self.log_alpha], lr=3e-3)

    def update(self, o, a, r, o2):
        alpha = self.log_alpha.exp().detach()
        with torch.no_grad():
            a2, logp2 = self.pi(o2)
            oa2 = torch.cat([o2, a2], dim=-1)
            q_targ = torch.min(self.q1_targ(oa2), self.q2_targ(oa2)).squeeze(-1)
            backup = (r + self.gamma * (q_targ - alpha * logp2)).unsqueeze(-1)
        oa = torch.cat([o, a], dim=-1)
        loss_q = F.mse_loss(self.q1(oa), backup) + F.mse_loss(self.q2(oa), backup)
        self.q_optimizer.zero_grad()
        loss_q.backward()
        self.q_optimizer.step()

        act, logp = self.pi(o)
        oa = torch.cat([o, act], dim=-1)
        loss_pi = (alpha * logp - torch.min(self.q1(oa), self.q2(oa)).squeeze(-1)).mean()
        self.pi_optimizer.zero_grad()
        loss_pi.backward()
        self.pi_optimizer.step()

        loss_alpha = -(self.log_alpha * (logp.detach() - 1.0)).mean()
        self.alpha_optimizer.zero_grad()
        loss_alpha.backward()
        self.alpha_optimizer.step()

        with torch.no_grad():
            for q, targ in ((self.q1, self.q1_targ), (self.q2, self.q2_targ)):
                for p, p_targ in zip(q.parameters(), targ.parameters(), strict=True):
                    p_targ.lerp_(p, 1 - self.polyak)
        return loss_q.item(), loss_pi.item()


if __name__ == "__main__":
    torch.manual_seed(0)
    agent = SAC()
    obs = torch.randn(32, 2)
    for step in range(20):
        act = agent.pi(obs)[0].detach()
        nxt = 0.9 * obs + 0.1 * act
        losses = agent.update(obs, act, -nxt.pow(2).sum(-1), nxt)
        obs = nxt if step % 5 else torch.randn(32, 2)
        if step % 5 == 0:
            print(f"{step} q {losses[0]:.4f} pi {losses[1]:.4f} T {agent.log_alpha.item():+.3f}")
