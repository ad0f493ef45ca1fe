"""The LSTM language model of Zaremba, Sutskever and Vinyals (2014)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["LanguageLSTM"]

State = tuple[Tensor, Tensor]  # hidden and cell, each `(n_layers, n_streams, width)`


class LanguageLSTM(nn.Module):
    """Embedding, LSTM layers and a linear layer over the vocabulary; dropout on the connections that are not recurrent.

    The state is handed over from one piece of a text to the next, so that a text may be cut into pieces of any length.
    All weights start uniform on [-`scale`, `scale`]. The paper counts one bias for each gate; torch has two, whose sum acts.

    >>> sum(parameter.numel() for parameter in LanguageLSTM(10_000, n_layers=2, width=200).parameters())
    4653200

    Args:
        n_words: size of the vocabulary.
        n_layers: LSTM layers.
        width: units of each, and of the embedding.
        dropout: share of units silenced in training, before and after each layer.
        scale: of the initial weights.
    """

    def __init__(self, n_words: int, n_layers: int = 2, width: int = 200, dropout: float = 0.0, scale: float = 0.1) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_words, width)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(width, width, n_layers, batch_first=True, dropout=dropout if n_layers > 1 else 0.0)
        self.linear = nn.Linear(width, n_words)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-scale, scale)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Tokens `(n_streams, length)` to logits `(n_streams, length, n_words)` of the token after each, and the state at the end."""
        features, end = self.lstm(self.dropout(self.embedding(tokens)), state)
        return self.linear(self.dropout(features)), end
