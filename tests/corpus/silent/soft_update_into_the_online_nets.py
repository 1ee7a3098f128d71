"""Multi-agent pursuit: one agent's networks and their soft update."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Critic(nn.Module):
    def __init__(self, obs, act):
        super().__init__()
        self.fc1 = nn.Linear(obs + act, 24)
        self.q = nn.Linear(24, 1)

    def forward(self, s, a):
        return self.q(F.relu(self.fc1(torch.cat([s, a], 1))))


class Actor(nn.Module):
    def __init__(self, obs, act):
        super().__init__()
        self.fc1 = nn.Linear(obs, 24)
        self.pi = nn.Linear(24, act)

    def forward(self, s):
        return torch.tanh(self.pi(F.relu(self.fc1(s))))


class Agent:
    def __init__(self, obs=6, act=2, tau=0.05, gamma=0.95):
        self.tau, self.gamma = tau, gamma
        self.actor, self.target_actor = Actor(obs, act), Actor(obs, act)
        self.critic, self.target_critic = Critic(obs, act), Critic(obs, act)
        self.target_actor.load_state_dict(self.actor.state_dict())
        self.target_critic.load_state_dict(self.critic.state_dict())
        self.actor_opt = torch.optim.Adam(self.actor.parameters(), lr=1e-2)
        self.critic_opt = torch.optim.Adam(self.critic.parameters(), lr=1e-2)

    def learn(self, s, a, r, s2):
        with torch.no_grad():
            target = r + self.gamma * self.target_critic(s2, self.target_actor(s2))
        critic_loss = F.mse_loss(self.critic(s, a), target)
        self.critic_opt.zero_grad()
        critic_loss.backward()
        self.critic_opt.step()
        actor_loss = -self.critic(s, self.actor(s)).mean()
        self.actor_opt.zero_grad()
        actor_loss.backward()
        self.actor_opt.step()
        self.soft_update(self.actor, self.target_actor)
        self.soft_update(self.critic, self.target_critic)
        return critic_loss.item()

    def soft_update(self, net, target):
        for p, tp in zip(net.parameters(), target.parameters()):
            p.data.copy_(self.tau * p.data + (1 - self.tau) * tp.data)


torch.manual_seed(0)
agent = Agent()
for it in range(20):
    s, a = torch.randn(32, 6), torch.randn(32, 2).tanh()
    loss = agent.learn(s, a, s[:, :1] * a[:, :1], s + 0.1 * torch.randn(32, 6))
    print(it, round(loss, 4))
