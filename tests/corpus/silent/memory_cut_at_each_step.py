"""Recurrent A3C worker on a memory task: hidden state kept through an episode."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class ActorCritic(nn.Module):
    def __init__(self, n_in=3, hidden=12, actions=2):
        super().__init__()
        self.embed = nn.Linear(n_in, hidden)
        self.lstm = nn.LSTMCell(hidden, hidden)
        self.critic_linear = nn.Linear(hidden, 1)
        self.actor_linear = nn.Linear(hidden, actions)

    def forward(self, inputs, hidden):
        x = F.elu(self.embed(inputs))
        hx, cx = self.lstm(x, hidden)
        return self.critic_linear(hx), self.actor_linear(hx), (hx, cx)


class Recall:
    """The first observation must be repeated at the end."""

    def __init__(self, length=5):
        self.length = length

    def reset(self):
        self.t, self.cue = 0, torch.randint(0, 2, ()).item()
        return torch.tensor([[1.0 - self.cue, float(self.cue), 0.0]])

    def step(self, action):
        self.t += 1
        done = self.t == self.length
        reward = float(action == self.cue) if done else 0.0
        return torch.tensor([[0.0, 0.0, float(self.t == self.length - 1)]]), reward, done


def train(episodes=10, gamma=0.99):
    torch.manual_seed(0)
    model, env = ActorCritic(), Recall()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for episode in range(episodes):
        state, done = env.reset(), False
        hx, cx = torch.zeros(1, 12), torch.zeros(1, 12)
        values, log_probs, rewards, entropies = [], [], [], []
        while not done:
            value, logit, (hx, cx) = model(state, (hx.detach(), cx.detach()))
            log_prob = F.log_softmax(logit, dim=-1)
            entropies.append(-(log_prob * log_prob.exp()).sum(1))
            action = log_prob.exp().multinomial(1).detach()
            log_probs.append(log_prob.gather(1, action))
            state, reward, done = env.step(action.item())
            values.append(value)
            rewards.append(reward)
        R, policy_loss, value_loss = torch.zeros(1, 1), 0, 0
        for i in reversed(range(len(rewards))):
            R = gamma * R + rewards[i]
            advantage = R - values[i]
            value_loss = value_loss + 0.5 * advantage.pow(2).sum()
            policy_loss = policy_loss - log_probs[i] * advantage.detach() - 0.01 * entropies[i]
        optimizer.zero_grad()
        (policy_loss.sum() + 0.5 * value_loss).backward()
        optimizer.step()
        print("episode", episode, "return", rewards[-1])
    return model


if __name__ == "__main__":
    model = train()
