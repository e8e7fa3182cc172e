"""A small convolutional network in PyTorch learns handwritten digits, with pooling layers of fastpool.

Needs torch and scikit-learn, whose digits it reads: ``python examples/digits_torch.py``. Kernels are
compiled the first time, in a minute or two; training takes seconds.
"""

import argparse

import torch
from sklearn.datasets import load_digits

from fastpool.interop import torch as layers


def network(first: torch.nn.Module, second: torch.nn.Module) -> torch.nn.Module:
    """Two convolutions, each pooled; `second` must leave 2 x 2."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3, padding=1),
        torch.nn.ReLU(),
        first,
        torch.nn.Conv2d(16, 32, 3, padding=1),
        torch.nn.ReLU(),
        second,
        torch.nn.Flatten(),
        torch.nn.Linear(32 * 2 * 2, 10),
    )


def accuracy(model: torch.nn.Module, steps: int) -> float:
    """Percent of the last 500 digits that are recognised after some steps on the others."""
    digits = load_digits()
    x, labels = torch.from_numpy(digits.images).float()[:, None] / 16, torch.from_numpy(digits.target)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(steps):
        batch = torch.arange(step * 64, step * 64 + 64) % (len(x) - 500)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(x[batch]), labels[batch]).backward()
        optimiser.step()
    model.eval()
    with torch.no_grad():
        found = model(x[-500:]).argmax(1)
    return 100 * (found == labels[-500:]).float().mean().item()


def main() -> None:
    """Train with torch's layers, with the same ones of fastpool, and with some that torch does not have."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps
    pairs = {
        "torch: max, average": (torch.nn.MaxPool2d(2), torch.nn.AdaptiveAvgPool2d(2)),
        "fastpool: max, average": (layers.MaxPool(2), layers.AdaptiveAvgPool(2)),
        "learned norm, learned blend": (
            layers.GemPool(2, learnable=True),
            layers.AdaptiveMixedPool(2, learnable=True),
        ),
        "drawn, soft": (layers.StochasticPool(2), layers.AdaptiveSoftPool(2)),
        "median, log-sum-exp": (layers.MedianPool(3, stride=1, padding=1), layers.AdaptiveLsePool(2)),
    }
    for name, pooling in pairs.items():
        torch.manual_seed(3)
        print(f"{name:30}{accuracy(network(*pooling), steps):6.1f} %")


if __name__ == "__main__":
    main()
