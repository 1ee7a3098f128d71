import torch
from torch import nn
torch.manual_seed(0)
lstm, head = nn.LSTM(8, 32, 2, batch_first=True, dropout=0.1).cuda(), nn.Linear(32, 8).cuda()
optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], 1e-3)
state = None
for step in range(10):
    x = torch.randn(4, 12, 8, device="cuda")
    if state is not None:
        state = tuple(s.detach() for s in state)
    y, state = lstm(x[:, :-1], state)
    loss = nn.functional.mse_loss(head(y), x[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(lstm.parameters(), 0.5)
    optimizer.step()
print("done")
