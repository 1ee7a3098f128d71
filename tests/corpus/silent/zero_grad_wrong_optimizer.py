"""Reverse a sequence of digits with a GRU encoder and a GRU decoder."""

import random

import torch
import torch.nn.functional as F
from torch import nn

SOS = 10
VOCAB = 11


class EncoderRNN(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)

    def forward(self, tokens):
        _, hidden = self.gru(self.embedding(tokens))
        return hidden


class DecoderRNN(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, VOCAB)

    def forward(self, token, hidden):
        output, hidden = self.gru(self.embedding(token), hidden)
        return self.out(output), hidden


def train_step(source, target, encoder, decoder, encoder_optimizer, decoder_optimizer, forcing):
    encoder_optimizer.zero_grad()
    encoder_optimizer.zero_grad()
    hidden = encoder(source)
    token = torch.full((source.size(0), 1), SOS)
    loss = 0
    for t in range(target.size(1)):
        logits, hidden = decoder(token, hidden)
        loss = loss + F.cross_entropy(logits.squeeze(1), target[:, t])
        teacher = random.random() < forcing
        token = target[:, t : t + 1] if teacher else logits.argmax(-1)
    loss.backward()
    encoder_optimizer.step()
    decoder_optimizer.step()
    return loss.item() / target.size(1)


def train_iters(encoder, decoder, n_iters, print_every=10, lr=5e-3):
    encoder_optimizer = torch.optim.Adam(encoder.parameters(), lr=lr)
    decoder_optimizer = torch.optim.Adam(decoder.parameters(), lr=lr)
    print_loss = 0.0
    for i in range(1, n_iters + 1):
        source = torch.randint(0, 10, (16, 5))
        print_loss += train_step(
            source, source.flip(1), encoder, decoder, encoder_optimizer, decoder_optimizer, 0.5
        )
        if i % print_every == 0:
            print(f"{i}/{n_iters} {print_loss / print_every:.4f}")
            print_loss = 0.0


if __name__ == "__main__":
    torch.manual_seed(0)
    random.seed(0)
    encoder1 = EncoderRNN(24)
    decoder1 = DecoderRNN(24)
    train_iters(encoder1, decoder1, 30)
