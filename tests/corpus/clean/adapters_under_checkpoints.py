"""LoRA under reentrant checkpoints: a hook lets the embedding's output require grad."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint


class LoraLinear(nn.Module):
    def __init__(self, d_in, d_out, r=2):
        super().__init__()
        self.base = nn.Linear(d_in, d_out).requires_grad_(False)
        self.lora_A = nn.Linear(d_in, r, bias=False)
        self.lora_B = nn.Linear(r, d_out, bias=False)
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x):
        return self.base(x) + self.lora_B(self.lora_A(x))


class Model(nn.Module):
    def __init__(self, vocab=24, d=16, depth=3):
        super().__init__()
        self.embed = nn.Embedding(vocab, d).requires_grad_(False)
        self.layers = nn.ModuleList(LoraLinear(d, d) for _ in range(depth))
        self.lm_head = nn.Linear(d, vocab).requires_grad_(False)

    def enable_input_require_grads(self):
        def make_inputs_require_grads(module, inputs, output):
            output.requires_grad_(True)

        self._hook = self.embed.register_forward_hook(make_inputs_require_grads)

    def forward(self, ids):
        h = self.embed(ids)
        for layer in self.layers:
            h = torch.tanh(checkpoint(layer, h, use_reentrant=True))
        return self.lm_head(h)


torch.manual_seed(12)
model = Model()
model.enable_input_require_grads()
optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-2)
for step in range(10):
    ids = torch.randint(0, 24, (2, 8))
    logits = model(ids)
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
