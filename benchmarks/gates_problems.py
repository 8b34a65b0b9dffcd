"""Two problems that only a memory solves, and the small networks that try."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from models.recurrent import Recurrent, equation_parameters
from models.spec import Recurrence

LETTERS, WORD = 4, 5
"""Of the copy problem: the alphabet, and the letters that are to be remembered."""
_BLANK, _NOW = LETTERS, LETTERS + 1

UNITS: dict[Recurrence, int] = {"elman": 65, "gru": 37, "lstm": 32}
"""Units for which the three cells have the same number of parameters (within 2 %)."""


class Network(nn.Module):
    """A recurrent layer from a young state, and a linear map of its output at every step."""

    def __init__(self, cell: Recurrence, inputs: int, outputs: int) -> None:
        super().__init__()
        self.recurrent = Recurrent(cell, inputs, UNITS[cell], 1)
        self.head = nn.Linear(UNITS[cell], outputs)

    def forward(self, x: Tensor) -> Tensor:
        """x (n, T, inputs) -> (n, T, outputs)."""
        memory = x.new_zeros(len(x), self.recurrent.slots, self.head.in_features)
        h, _ = self.recurrent(x, memory)  # (n, T, units)
        out: Tensor = self.head(h)
        return out


@dataclass(frozen=True, slots=True)
class Adding:
    """The sum of two marked numbers among `length` (Hochreiter & Schmidhuber 1997, experiment 4).

    Inputs (n, length, 2): numbers from 0 to 1, and the marks, one in each half. The error is that
    of the output at the last step.
    """

    length: int
    inputs: int = 2
    outputs: int = 1

    def draw(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Inputs, and the sums (n, 1)."""
        numbers = torch.rand(n, self.length, generator=random)
        half = self.length // 2
        first = torch.randint(0, half, (n, 1), generator=random)
        second = torch.randint(half, self.length, (n, 1), generator=random)
        marks = torch.zeros(n, self.length).scatter(1, torch.cat([first, second], 1), 1.0)
        return torch.stack([numbers, marks], -1), (numbers * marks).sum(1, keepdim=True)

    def loss(self, said: Tensor, target: Tensor) -> Tensor:
        """Mean squared error of `said` (n, length, 1); saying 1 always has a sixth."""
        return mse_loss(said[:, -1], target)

    @property
    def memoryless(self) -> float:
        """The error of a network that remembers nothing."""
        return 1.0 / 6.0


@dataclass(frozen=True, slots=True)
class Copying:
    """Five letters of four, said again after `length` blanks (Arjovsky, Shah & Bengio 2016).

    Inputs are one-hot, (n, length + 2 WORD, LETTERS + 2): the word, blanks, and a sign at the step
    from which on the word is to be said. The error is that of the letters alone.
    """

    length: int
    inputs: int = LETTERS + 2
    outputs: int = LETTERS

    def draw(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Inputs, and the words (n, WORD)."""
        word = torch.randint(0, LETTERS, (n, WORD), generator=random)
        after = torch.full((n, self.length + WORD), _BLANK)
        after[:, self.length] = _NOW
        return one_hot(torch.cat([word, after], 1), self.inputs).float(), word

    def loss(self, said: Tensor, target: Tensor) -> Tensor:
        """Mean cross-entropy a letter, in nats, of `said` (n, T, LETTERS)."""
        return cross_entropy(said[:, -WORD:].transpose(1, 2), target)

    @property
    def memoryless(self) -> float:
        """The error of a network that remembers nothing."""
        return float(torch.tensor(float(LETTERS)).log())


Problem = Adding | Copying


def fitted(cell: Recurrence, problem: Problem, *, seed: int, batches: int) -> tuple[Network, float]:
    """A network trained on fresh draws, and its error on 1,000 others."""
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    network = Network(cell, problem.inputs, problem.outputs)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(batches):
        x, target = problem.draw(64, random)
        optimizer.zero_grad()
        loss = problem.loss(network(x), target)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        x, target = problem.draw(1_000, torch.Generator().manual_seed(10_000 + seed))
        return network, float(problem.loss(network(x), target))


def gradient_by_lag(network: Network, x: Tensor) -> Tensor:
    """(T,): the norm of the last output's gradient by the input k steps before, k = 0 … T - 1.

    x: (n, T, inputs). Mean over the n.
    """
    x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(network(x)[:, -1].sum(), x)  # (n, T, inputs)
    norms: Tensor = slope.norm(dim=-1).mean(0)  # (T,)
    return norms.flip(0)


def parameters(cell: Recurrence, inputs: int) -> int:
    """Of the recurrent layer, as the equations count them."""
    return equation_parameters(cell, inputs, UNITS[cell], 1)
