import torch

torch.manual_seed(0)
signal = torch.sin(torch.arange(9) / 2)
gain = torch.full((1,), 0.1, requires_grad=True)
optimizer = torch.optim.SGD([gain], lr=0.05)

state = torch.zeros(1)
for step in range(8):
    state = state + gain * (signal[step] - state.detach())
    loss = (state - signal[step + 1]).square().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    state = state.detach()
