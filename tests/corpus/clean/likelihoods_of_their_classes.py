"""Log-probabilities over the classes of a likelihood, wherever those lie, and scores of pairs both ways."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
tagger = nn.Sequential(nn.Embedding(12, 16), nn.Linear(16, 5))
segmenter = nn.Conv2d(1, 3, 3, padding=1)
image, text = nn.Linear(6, 8), nn.Linear(4, 8)
models = nn.ModuleList([tagger, segmenter, image, text])
optimizer = torch.optim.Adam(models.parameters(), lr=1e-2)
likelihood = nn.NLLLoss()
for step in range(10):
    words = torch.randint(0, 12, (4, 7))
    tags = words % 5
    logs = F.log_softmax(tagger(words), dim=-1)
    loss = likelihood(logs.view(-1, 5), tags.view(-1))
    loss = loss + likelihood(logs.transpose(1, 2), tags)
    loss = loss + likelihood(F.log_softmax(tagger(words).permute(0, 2, 1), dim=1), tags)
    loss = loss + likelihood(logs[0, 0], tags[0, 0])
    picture = torch.randn(2, 1, 8, 8)
    loss = loss + likelihood(F.log_softmax(segmenter(picture), dim=1), (picture[:, 0] > 0).long())
    loss = loss + F.cross_entropy(segmenter(picture), (picture[:, 0] > 0).long())
    # The columns of the square are as much the classes as its rows are.
    scores = image(torch.randn(9, 6)) @ text(torch.randn(9, 4)).t()
    pairs = torch.arange(9)
    loss = loss + F.nll_loss(F.log_softmax(scores, dim=1), pairs)
    loss = loss + F.nll_loss(F.log_softmax(scores, dim=0), pairs)
    loss = loss + F.nll_loss(F.log_softmax(scores, dim=0).t(), pairs.flip(0))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 3))
