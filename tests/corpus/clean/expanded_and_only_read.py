import torch
from torch import nn


class Reader(nn.Module):
    def __init__(self, width=6, slots=4):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(1, width))
        self.cell = nn.GRUCell(3, width)
        self.head = nn.Linear(width, 1)
        self.register_buffer("places", torch.arange(slots).float())

    def forward(self, sequence, lengths):
        hidden = self.start.expand(sequence.size(1), -1)
        mask = self.places.expand(sequence.size(1), -1) < lengths[:, None]
        mask = mask.clone()
        mask[:, 0] = True
        for step, x in enumerate(sequence):
            new = self.cell(x, hidden)
            hidden = torch.where(mask[:, step, None], new, hidden)
        return self.head(hidden).squeeze(1)


torch.manual_seed(0)
model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(8):
    sequence, lengths = torch.randn(4, 8, 3), torch.randint(1, 5, (8,))
    loss = (model(sequence, lengths) - sequence.sum((0, 2))).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
