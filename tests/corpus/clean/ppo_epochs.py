"""PPO with a shared trunk: each rollout is used for several epochs of clipped updates."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical


class ActorCritic(nn.Module):
    def __init__(self, obs=4, actions=3):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(obs, 24), nn.Tanh())
        self.actor = nn.Linear(24, actions)
        self.critic = nn.Linear(24, 1)

    def forward(self, obs):
        h = self.trunk(obs)
        return Categorical(logits=self.actor(h)), self.critic(h).squeeze(-1)


class Bandits:
    """Contextual bandit: the rewarded action is the largest of three linear scores."""

    def __init__(self):
        self.w = torch.randn(4, 3)

    def rollout(self, model, n):
        obs = torch.randn(n, 4)
        with torch.no_grad():
            dist, value = model(obs)
            action = dist.sample()
            logp = dist.log_prob(action)
        reward = (action == (obs @ self.w).argmax(1)).float()
        return {"obs": obs, "action": action, "logp": logp, "value": value, "reward": reward}


def ppo_update(model, optimizer, data, args):
    adv = data["reward"] - data["value"]
    adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    for epoch in range(args.epochs):
        for idx in torch.randperm(len(adv)).split(args.minibatch):
            dist, value = model(data["obs"][idx])
            ratio = (dist.log_prob(data["action"][idx]) - data["logp"][idx]).exp()
            clipped = ratio.clamp(1 - args.clip, 1 + args.clip)
            policy_loss = -torch.min(ratio * adv[idx], clipped * adv[idx]).mean()
            value_loss = F.mse_loss(value, data["reward"][idx])
            loss = policy_loss + 0.5 * value_loss - 0.01 * dist.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
        with torch.no_grad():
            dist, _ = model(data["obs"])
            kl = (data["logp"] - dist.log_prob(data["action"])).mean().item()
        if kl > args.target_kl:
            return epoch + 1
    return args.epochs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--updates", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--minibatch", type=int, default=32)
    parser.add_argument("--clip", type=float, default=0.2)
    parser.add_argument("--target-kl", type=float, default=0.05)
    args = parser.parse_args()
    torch.manual_seed(1)
    env, model = Bandits(), ActorCritic()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, eps=1e-5)
    for update in range(args.updates):
        data = env.rollout(model, 96)
        used = ppo_update(model, optimizer, data, args)
        print(f"update {update} reward {data['reward'].mean().item():.3f} epochs {used}")


if __name__ == "__main__":
    main()
