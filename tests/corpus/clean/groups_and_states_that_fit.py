"""Groups that share nothing, sparse gradients where they are taken, states that fit, and a group
that is refused and left out."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
words = nn.Embedding(30, 8, sparse=True)
body, head = nn.Linear(8, 8), nn.Linear(8, 3)
sparse = torch.optim.SparseAdam(words.parameters(), lr=1e-2)
dense = torch.optim.AdamW([{"params": body.parameters(), "lr": 1e-3}], lr=1e-2)
dense.add_param_group({"params": head.parameters()})
try:
    dense.add_param_group({"params": [head.bias]})
except ValueError as error:
    print(error)
for step in range(12):
    ids = torch.randint(0, 30, (16, 5))
    loss = F.cross_entropy(head(body(words(ids).mean(1)).relu()), ids[:, 0] % 3)
    for each in (sparse, dense):
        each.zero_grad()
    loss.backward()
    for each in (sparse, dense):
        each.step()
    if step == 5:
        saved = copy.deepcopy(dense.state_dict())
        dense = torch.optim.AdamW([{"params": body.parameters(), "lr": 1e-3}], lr=1e-2)
        dense.add_param_group({"params": head.parameters()})
        dense.load_state_dict(saved)
