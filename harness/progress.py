"""How far a run is: its step, its clock, the evaluations that its last table shows.

Left out: the settings of the run (config.py) and its files (folder.py).
"""

import time
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from harness.config import LIKELIHOOD, SELF_TRAINING, Config
from model import GPT


@dataclass
class Progress:
    """Step 0 is the base model."""

    step: int = 0  # the last step that was done, or the one at hand
    started: float = 0.0  # when the run would have begun if it had never paused
    first_weights: dict[str, Tensor] = field(default_factory=dict)  # STaR begins each round there
    evaluations: list[dict[str, Any]] = field(default_factory=list)  # the base's, and the last

    def begin(self, config: Config, model: GPT) -> None:
        """A new run begins with this model; the time of the warm start does not count."""
        self.started = time.monotonic()
        if config.method == "star":
            self.first_weights = {n: w.clone() for n, w in model.state_dict().items()}

    def evaluation_is_due(self, config: Config) -> bool:
        """Whether this step is to be evaluated, and has not been yet."""
        is_due = self.step % config.eval_every == 0 or self.step == config.steps
        return is_due and (not self.evaluations or self.evaluations[-1]["step"] != self.step)

    def row(self, config: Config, figures: dict[str, Any]) -> dict[str, Any]:
        """A row of the log; if it is an evaluation, it is remembered for the table at the end."""
        prompts = config.pool if config.method in SELF_TRAINING else config.batch_size
        rollouts = 0 if config.method in LIKELIHOOD else self.step * prompts * config.k
        seconds = round(time.monotonic() - self.started, 3)
        row = {"step": self.step, "seconds": seconds, "rollouts": rollouts} | figures
        if "nll" in figures:
            self.evaluations[1:] = [row]
        return row
