"""Keep everything, for ever.

A filter with a memory. "Trying to backward through the graph a second time", PyTorch said, and
suggested retain_graph=True; now it runs. Look at how the graph grows. Mend it; the state is still
carried over.

part: Repairs that only silence
expect: GL106 at `loss.backward()`
assert: optimizer applies the gradient of loss alone
assert: optimizer changes gain
assert: optimizer makes 8 steps
assert: the graph stays the same size
hint: Where to look: the sizes in the report. What hangs on `state` when an iteration ends?
hint: Why: state carries the graph of every iteration so far, and retain_graph=True keeps all of it.
    Each backward goes through the whole past. Detach the state where one iteration ends.
lesson: If backward needs retain_graph=True, ask first why it has to go there a second time.
"""

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
    loss.backward(retain_graph=True)
    optimizer.step()
