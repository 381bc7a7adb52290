"""The little of a neural network that the restorer needs, in numpy: layers with their gradients, Adam."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

Weights = dict[str, np.ndarray]


def dense(rng: np.random.Generator, inputs: int, outputs: int) -> np.ndarray:
    """(inputs + 1, outputs) weights of a layer, the last row its bias; He et al. (2015)."""
    weights = rng.normal(0, np.sqrt(2 / inputs), (inputs + 1, outputs))
    weights[-1] = 0
    return weights.astype(np.float32)


class Perceptron:
    """Layers of rectified sums; the last one is linear. Each weight matrix carries its bias as last row."""

    def __init__(self, layers: list[np.ndarray]) -> None:
        self.layers = layers

    @staticmethod
    def new(rng: np.random.Generator, *sizes: int) -> Perceptron:
        made = [dense(rng, a, b) for a, b in pairwise(sizes)]
        made[-1] *= 0.1
        return Perceptron(made)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(n, inputs) → (n, outputs)."""
        return self.forward(x)[-1]

    def forward(self, x: np.ndarray) -> list[np.ndarray]:
        """The values after each layer, the input first."""
        values = [x]
        for at, layer in enumerate(self.layers):
            x = x @ layer[:-1] + layer[-1]
            if at + 1 < len(self.layers):
                x = np.maximum(x, 0)
            values.append(x)
        return values

    def backward(self, values: list[np.ndarray], gradient: np.ndarray) -> list[np.ndarray]:
        """Gradients of the layers, given that of the output (n, outputs)."""
        found: list[np.ndarray] = []
        for at in range(len(self.layers) - 1, -1, -1):
            x = values[at]
            found.append(np.concatenate([x.T @ gradient, gradient.sum(0, keepdims=True)]))
            if at:
                gradient = (gradient @ self.layers[at][:-1].T) * (x > 0)
        return found[::-1]


class Adam:
    """Kingma and Ba (2015), with a rate that rises over the first tenth of the steps and falls to
    nothing after (one cycle)."""

    def __init__(self, weights: Mapping[str, np.ndarray], *, rate: float, steps: int) -> None:
        self.weights, self.rate, self.steps, self.done = dict(weights), rate, steps, 0
        self.mean = {name: np.zeros_like(w) for name, w in weights.items()}
        self.square = {name: np.zeros_like(w) for name, w in weights.items()}

    def step(self, gradients: Mapping[str, np.ndarray]) -> None:
        """Changes the weights in place."""
        self.done += 1
        rate = self.rate * self._cycle() * np.sqrt(1 - 0.999**self.done) / (1 - 0.9**self.done)
        for name, gradient in gradients.items():
            mean, square = self.mean[name], self.square[name]
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient * gradient - square)
            self.weights[name] -= (rate * mean / (np.sqrt(square) + 1e-8)).astype(np.float32)

    def _cycle(self) -> float:
        share = self.done / max(1, self.steps)
        return share / 0.1 if share < 0.1 else 0.5 * (1 + np.cos(np.pi * (share - 0.1) / 0.9))
