"""The multilayer GAN of ``sigmaprop bench gan`` in PyTorch, in a process of its own.

    python gan_torch.py OPTIONS    # as JSON: device, threads, core, compile, warm

It prints one line of JSON when it is warm; then each line of its input is a number of steps, which
it answers with the seconds that they took. It imports nothing of this project, so any interpreter
that has PyTorch can run it. It does what makes PyTorch fast: one discriminator pass for real and
generated examples, fused Adam, no gradients that nobody reads; and, unlike the engine that it is
compared with, it keeps no metrics, bounds no sigma and looks for no divergence.
"""
# pyright: reportMissingImports=false, reportPossiblyUnboundVariable=false

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any

with contextlib.suppress(ImportError):  # a peer: what is installed need not have it
    import torch
    from torch.nn import functional

LATENT, HIDDEN, DIM, BATCH, EXAMPLES = 32, 256, 64, 64, 2000
RATE, BETAS, START = 1e-3, (0.5, 0.99), 0.2


def network(sizes: tuple[int, ...], activation: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """Linear layers with the activation after all but the last."""
    layers: list[torch.nn.Module] = []
    for width, out in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(width, out), activation()]
    return torch.nn.Sequential(*layers[:-1])


def make_step(device: str, compiled: bool) -> Callable[[], None]:
    """One step of the game: the discriminator's move, then the generator's."""
    torch.manual_seed(0)
    generator = network((LATENT, HIDDEN, HIDDEN, DIM), torch.nn.ReLU).to(device)
    leaky = lambda: torch.nn.LeakyReLU(0.2)  # noqa: E731
    discriminator = network((DIM, HIDDEN, HIDDEN, 1), leaky).to(device)
    log_sigma = torch.nn.Parameter(torch.tensor(math.log(START), device=device))
    data = torch.randn(EXAMPLES, DIM, device=device)
    groups = [{"params": list(generator.parameters())}, {"params": [log_sigma], "lr": RATE}]
    of_generator = torch.optim.Adam(groups, lr=RATE, betas=BETAS, fused=True)
    parameters = list(discriminator.parameters())
    of_discriminator = torch.optim.Adam(parameters, lr=RATE, betas=BETAS, fused=True)

    def generate() -> torch.Tensor:
        mean = generator(torch.randn(BATCH, LATENT, device=device))
        return mean + log_sigma.exp() * torch.randn(BATCH, DIM, device=device)

    def discriminator_loss() -> torch.Tensor:
        with torch.no_grad():
            fake = generate()
        real = data[torch.randint(EXAMPLES, (BATCH,), device=device)]
        logits = discriminator(torch.cat([real, fake]))
        return (
            functional.softplus(-logits[:BATCH]).mean() + functional.softplus(logits[BATCH:]).mean()
        )

    def generator_loss() -> torch.Tensor:
        return functional.softplus(-discriminator(generate())).mean()

    first, second = discriminator_loss, generator_loss
    if compiled:
        first, second = torch.compile(first), torch.compile(second)

    def move(loss: Callable[[], torch.Tensor], optimizer: Any) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    def step() -> None:
        discriminator.requires_grad_(True)
        move(first, of_discriminator)
        discriminator.requires_grad_(False)
        move(second, of_generator)

    return step


def main(options: dict[str, Any]) -> None:
    """Answers numbers of steps with seconds until its input ends."""
    if options["core"] is not None:
        os.sched_setaffinity(0, {options["core"]})
    if options["threads"] is not None:
        torch.set_num_threads(options["threads"])
    device = options["device"]
    step = make_step(device, options["compile"])
    for _ in range(options["warm"]):
        step()
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            step()
        if device != "cpu":
            torch.cuda.synchronize()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
