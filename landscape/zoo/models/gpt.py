"""A small GPT-style transformer: a language model over a context of fixed length."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape.errors import InputError

__all__ = ["GPT"]

_DEVIATION = 0.02  # of the initial weights (Radford et al. 2019)


class _Block(nn.Module):
    """h + attention(norm(h)), then h + perceptron(norm(h)); a token attends to itself and those before it."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """`(n, length, width)` to the same shape."""
        parts = self.attention(self.norm1(features)).chunk(3, dim=2)
        queries, keys, values = (part.unflatten(2, (self.n_heads, -1)).transpose(1, 2) for part in parts)
        attended = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        features = features + self.dropout(self.projection(attended.transpose(1, 2).flatten(2)))
        change: Tensor = self.dropout(self.perceptron(self.norm2(features)))
        return features + change


class GPT(nn.Module):
    """Token and position embeddings, blocks of causal attention and perceptron, a norm, a linear layer over the vocabulary.

    Norms come before their layers, the layers that add to the stream start smaller by √(2 n_layers) (Radford et al. 2019, sec. 2.3).

    Raises:
        InputError: when the width is no multiple of the heads.
    """

    def __init__(
        self, n_words: int, n_layers: int = 2, width: int = 64, n_heads: int = 4, context: int = 64, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if width % n_heads:
            raise InputError(f"a width of {width} cannot be shared among {n_heads} heads; take a multiple")
        self.context = context
        self.tokens = nn.Embedding(n_words, width)
        self.positions = nn.Embedding(context, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(_Block(width, n_heads, dropout) for _ in range(n_layers)))
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, n_words, bias=False)
        self._initialize(n_layers)

    def _initialize(self, n_layers: int) -> None:
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                adds = name.endswith((".projection", ".perceptron.2"))
                nn.init.normal_(module.weight, std=_DEVIATION / math.sqrt(2 * n_layers) if adds else _DEVIATION)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens `(n, length)`, no longer than the context, to logits `(n, length, n_words)` of the token after each."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        features = self.dropout(self.tokens(tokens) + self.positions(positions))
        logits: Tensor = self.linear(self.norm(self.blocks(features)))
        return logits
