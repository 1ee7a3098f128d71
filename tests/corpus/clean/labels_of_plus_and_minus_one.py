"""Losses of 1 and -1 with their own labels, with a 0 for what is left out, and with 1 alone."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
encoder = nn.Linear(10, 4)
# Labels that are learned have a graph, and so have the scores beside them.
soft = nn.Parameter(torch.zeros(24, 4))
optimizer = torch.optim.Adam([*encoder.parameters(), soft], lr=1e-3)
margin = nn.HingeEmbeddingLoss(margin=1.0)
for step in range(12):
    one, other = encoder(torch.randn(24, 10)), encoder(torch.randn(24, 10))
    labels = torch.randint(0, 2, (24,)) * 2 - 1
    masked = labels * torch.randint(0, 2, (24,))
    loss = F.cosine_embedding_loss(one, other, labels)
    loss = loss + F.cosine_embedding_loss(one, other, masked, margin=0.1)
    loss = loss + F.cosine_embedding_loss(one, other, torch.ones(24))
    loss = loss + F.soft_margin_loss(one[:, 0], labels.float())
    loss = loss + margin((one - other).norm(dim=1), labels)
    # A binary cross-entropy takes 0 and 1.
    loss = loss + F.binary_cross_entropy_with_logits(one[:, 0], (labels > 0).float())
    loss = loss + F.cross_entropy(one, soft.softmax(1))
    # No preference between two is what a ranking's 0 says.
    preferred = torch.randint(0, 2, (24,))
    loss = loss + F.margin_ranking_loss(one[:, 0], other[:, 0], preferred, margin=0.1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
