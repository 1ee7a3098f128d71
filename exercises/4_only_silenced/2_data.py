"""The hidden write.

A critic, as in WGAN: its weights are kept small. Somebody got an error from the clipping, put
`.data` there, and the error went away. Is the gradient right? Mend it; the weights are still kept
between -0.1 and 0.1 in every iteration.

part: Repairs that only silence
expect: GL105 at `loss.backward()`
assert: optimizer applies the gradient of loss alone
assert: optimizer changes critic.0
assert: optimizer makes 8 steps
assert: largest ends below 0.11
hint: Where to look: at which moment are the weights clipped? What is still to come in that
    iteration that needs them as they were in forward?
hint: Why: forward saved the weights for backward, and the clipping changes them in between. PyTorch
    would have noticed; a write through .data does not move the version counter. Clip when no
    backward is pending, under torch.no_grad().
lesson: .data does not make a write harmless, it makes it invisible.
"""

import torch
from torch import nn

torch.manual_seed(0)
critic = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.RMSprop(critic.parameters(), lr=1e-2)

for step in range(8):
    real, fake = torch.randn(32, 2) + 2, torch.randn(32, 2)
    loss = critic(fake).mean() - critic(real).mean()
    for p in critic.parameters():
        p.data.clamp_(-0.1, 0.1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
largest = max(p.abs().max().item() for p in critic.parameters())
