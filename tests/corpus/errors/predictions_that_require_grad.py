import torch
from torch import nn

torch.manual_seed(0)
model = nn.LSTM(6, 12, batch_first=True)
fc = nn.Linear(12, 5)
params = list(model.parameters()) + list(fc.parameters())
optimizer = torch.optim.Adam(params, lr=1e-3)
criterion = nn.L1Loss()
for step in range(3):
    seq = torch.randn(4, 7, 6)
    level = torch.randint(0, 5, (4,))
    out, _ = model(seq)
    scores = fc(out[:, -1])
    _, predicted = torch.max(scores, 1)
    predicted.requires_grad = True
    loss = criterion(predicted, level)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
