"""SAC-like: the critics are frozen while the actor looks through them, then a shared step."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def mlp(i, o):
    return nn.Sequential(nn.Linear(i, 24), nn.ReLU(), nn.Linear(24, o))


torch.manual_seed(0)
actor, q1, q2 = mlp(4, 2), mlp(6, 1), mlp(6, 1)
qs = nn.ModuleList([q1, q2])
q_opt, a_opt = torch.optim.Adam(qs.parameters(), 3e-3), torch.optim.Adam(actor.parameters(), 3e-3)
log_alpha = torch.zeros(1, requires_grad=True)
alpha_opt = torch.optim.Adam([log_alpha], 1e-2)
for it in range(10):
    s, a = torch.randn(24, 4), torch.rand(24, 2) * 2 - 1
    target = (s[:, :2] * a).sum(1, keepdim=True)
    sa = torch.cat([s, a], 1)
    q_opt.zero_grad()
    q_loss = F.mse_loss(q1(sa), target) + F.mse_loss(q2(sa), target)
    q_loss.backward()
    for p in qs.parameters():
        p.requires_grad_(False)
    pi = torch.tanh(actor(s) + 0.1 * torch.randn(24, 2))
    logp = -(pi.square()).sum(1, keepdim=True)
    spi = torch.cat([s, pi], 1)
    a_loss = (log_alpha.exp().detach() * logp - torch.min(q1(spi), q2(spi))).mean()
    a_opt.zero_grad()
    a_loss.backward()
    for p in qs.parameters():
        p.requires_grad_(True)
    q_opt.step()
    a_opt.step()
    alpha_loss = -(log_alpha * (logp.detach() - 2)).mean()
    alpha_opt.zero_grad()
    alpha_loss.backward()
    alpha_opt.step()
    print(it, round(q_loss.item(), 4), round(a_loss.item(), 4))

# The actor's gradients are cleared before the critic's own.
value = mlp(4, 1)
v_opt = torch.optim.Adam(value.parameters(), 1e-3)
for it in range(6):
    s = torch.randn(16, 4)
    pi_loss = -value(torch.cat([s[:, :2], actor(s)], 1)).mean()
    a_opt.zero_grad()
    pi_loss.backward()
    a_opt.step()
    v_opt.zero_grad()
    v_loss = F.mse_loss(value(s), s[:, :1])
    v_loss.backward()
    v_opt.step()
    print(it, round(v_loss.item(), 4))
