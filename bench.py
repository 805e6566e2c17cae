"""How fast this project is, compared with plain decoding and the usual libraries.

    python bench.py            a few minutes on two cores; prints the tables, writes bench.json
    python bench.py --peers    with Hugging Face generate and TRL's GRPOTrainer beside it
                               (pip install -r recipes/requirements-trl.txt)
    python bench.py --device cuda --peers    the same on a GPU, where plain.py sits out

Contenders take turns inside one process, so that a slow minute on the machine hits them all;
figures are medians with their range. *Cold* is an untrained model: nearly all rollouts differ,
which is the worst case for counting, and a stand-in verdict gives every row weight. *Warm* is
train.py's warm start with its real verdicts, where rollouts agree. Everything is float32 with the
same threads, layers, width, vocabulary and lengths. Left out: what methods learn
(reproduce.py).
"""

import argparse
import copy
import functools
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

import plain
import rollouts
import train
from data import Task
from data.batches import Batch, Problems, draw_problems, make_batch, rng
from data.tokenizer import ALPHABET, END, PAD, VOCAB_SIZE, decode
from harness import UsageError
from harness.command import Parser, command
from harness.config import (
    Config,
    as_word,
    checked_task,
    dashed,
    flags,
    path,
    pick_device,
    threads_of_environment,
    whole,
)
from model import GPT
from tree import Rollouts

SCALING_K = (8, 1024, 16384, 10**6)


# -------------------------------------------------------------------------------- the libraries


def peer_model(model: GPT) -> Any:
    """The same network as a transformers GPT-2: with our weights, and its biases set to 0."""
    from transformers import GPT2Config, GPT2LMHeadModel

    c = model.config
    peer = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=c.vocab_size, n_positions=c.block_size, n_embd=c.n_embd, n_layer=c.n_layer,
            n_head=c.n_head, activation_function="gelu", resid_pdrop=0.0, embd_pdrop=0.0,
            attn_pdrop=0.0, bos_token_id=END, eos_token_id=END, pad_token_id=PAD,
        )
    )  # fmt: skip
    ours, theirs = model.state_dict(), peer.state_dict()
    names = {
        "transformer.wte": "tokens",
        "transformer.wpe": "positions",
        "transformer.ln_f": "norm",
    }
    parts = {"ln_1": "norm_1", "attn.c_attn": "attention.qkv", "attn.c_proj": "attention.proj",
             "ln_2": "norm_2", "mlp.c_fc": "up", "mlp.c_proj": "down"}  # fmt: skip
    for i in range(c.n_layer):
        names |= {f"transformer.h.{i}.{a}": f"blocks.{i}.{b}" for a, b in parts.items()}
    for theirs_name, ours_name in names.items():
        w = ours[f"{ours_name}.weight"]
        theirs[f"{theirs_name}.weight"].copy_(w.T if ".c_" in theirs_name else w)
        if f"{ours_name}.bias" in ours:
            theirs[f"{theirs_name}.bias"].copy_(ours[f"{ours_name}.bias"])
        elif f"{theirs_name}.bias" in theirs:
            theirs[f"{theirs_name}.bias"].zero_()
    peer.to(model.tokens.weight.device)
    tokens = torch.randint(0, VOCAB_SIZE, (3, c.block_size), device=peer.device)
    assert torch.allclose(peer(tokens).logits, model(tokens), atol=1e-4), "not the same network"
    return peer.eval()


def peer_sampler(model: GPT, prompts: Tensor, k: int, max_new_tokens: int) -> Callable[[], object]:
    """Hugging Face generate with its cache, at temperature 1 and without top-k or top-p."""
    peer = peer_model(model)
    return lambda: peer.generate(
        prompts, attention_mask=torch.ones_like(prompts), do_sample=True, temperature=1.0, top_k=0,
        top_p=1.0, num_return_sequences=k, max_new_tokens=max_new_tokens,
    )  # fmt: skip


def peer_tokenizer() -> Any:
    """Our vocabulary as a transformers tokenizer: one token per character."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {c: i for i, c in enumerate(ALPHABET)} | {"<end>": END, "<pad>": PAD}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", pad_token="<pad>", padding_side="left",
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


def time_trl(case: "Case", rounds: int, others: dict[str, Callable]) -> dict[str, list[float]]:
    """Seconds of TRL's GRPO steps, the others taking their turns between its steps."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    seconds: dict[str, list[float]] = {name: [] for name in ("TRL GRPOTrainer", *others)}

    class Turns(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.start = now()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds["TRL GRPOTrainer"].append(now() - self.start)
            for name, call in others.items():
                seconds[name].append(timed(call))

    def reward(prompts: list[str], completions: list[str], **_: Any) -> list[float]:
        return [
            float(case.task.verify(p, c.replace(" ", "")))
            for p, c in zip(prompts, completions, strict=True)
        ]

    B, k, task = case.config.batch_size, case.config.k, case.task
    rows = task.draw(rng(0, "bench"), B * (rounds + 1), "train")
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=peer_model(case.model),
            reward_funcs=reward,
            processing_class=peer_tokenizer(),
            train_dataset=Dataset.from_dict({"prompt": [prompt for prompt, _ in rows]}),
            callbacks=[Turns()],
            args=GRPOConfig(
                output_dir=folder, use_cpu=case.device.type == "cpu", bf16=False,
                gradient_checkpointing=False,
                per_device_train_batch_size=B * k, gradient_accumulation_steps=1,
                steps_per_generation=1, num_iterations=1, num_generations=k, beta=0.0,
                max_completion_length=task.max_new_tokens, temperature=1.0, top_p=1.0, top_k=0,
                max_steps=rounds + 1, learning_rate=1e-6, lr_scheduler_type="constant",
                report_to="none", save_strategy="no", logging_strategy="no", disable_tqdm=True,
            ),
        )  # fmt: skip
        trainer.train()
    return {name: times[1:] for name, times in seconds.items()}  # the first round warms up


# ------------------------------------------------------------------------------------ measuring


def now() -> float:
    """A clock that is read when the GPU, if one is in use, has done what it was given."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(call: Callable[[], object]) -> float:
    start = now()
    call()
    return now() - start


def alternate(calls: dict[str, Callable], rounds: int, most: float = 8.0) -> dict[str, list[float]]:
    """Seconds of each call, all of them in turn; one that has used up `most` seconds sits out.

    The first turn of each warms it up, and counts only if there is no other.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            if sum(seconds[name]) < most:
                seconds[name].append(timed(call))
    return {name: times[1:] or times for name, times in seconds.items()}


def stand_in(prompt: str, completion: str) -> bool:
    """The cold verdict: about one completion in two is right, so every row of a step has weight."""
    return completion[:1] in set("0123456789+-")


@dataclass
class Case:
    """A model to time: its settings, its task, and the verdict it is trained by."""

    regime: str
    config: Config
    task: Task
    model: GPT

    def with_(self, **changes: Any) -> "Case":
        return replace(self, config=replace(self.config, **changes))

    @property
    def device(self) -> torch.device:
        return self.model.tokens.weight.device

    @property
    def name(self) -> str:
        return f"{self.regime}, {self.config.batch_size} prompts x {self.config.k}"

    def problems(self) -> Problems:
        return draw_problems(self.task, self.config.seed, 1, self.config.batch_size)

    def batch(self) -> Batch:
        return make_batch(self.problems(), self.task, self.device)

    def generator(self) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(0)

    def verdict(self, prompt: list[int], completion: list[int]) -> bool:
        """What plain.py asks: token lists in, right or wrong out."""
        return END in completion and self.task.verify(decode(prompt), decode(completion))

    def roll_out(self) -> Rollouts:
        """Ours: the rollouts of the batch."""
        words = (self.model, self.batch().prompts, self.config.k, self.task)
        return rollouts.roll_out(*words, self.generator())

    def stepper(self) -> Callable[[], dict]:
        """Our training step, on weights and an optimizer of its own."""
        own = copy.deepcopy(self.model)
        optimizer = train.new_optimizer(own, 1e-6)  # so small that cold stays cold
        return lambda: train.train_step(own, optimizer, self.config, self.task, step=1)


THREE_DIGITS = {"digits": 3, "reverse": False}
COLD = {"n_layer": 4, "n_head": 4, "n_embd": 128}
WARM = {"n_layer": 2, "n_head": 5, "n_embd": 160, "sft_until": 0.55, "sft_steps": 1000,
        "sft_lr": 1e-3}  # fmt: skip


def make_case(regime: str, sizes: dict[str, Any], device: torch.device) -> Case:
    """Three-digit addition. Cold: 4 layers of 128, untrained. Warm: 2 layers of 160 that solve half
    of the prompts. `sizes` override both."""
    start: dict[str, Any] = (COLD if regime == "cold" else WARM) | sizes
    start |= {"sft_steps": 0} if regime == "cold" else {}
    config = Config(method="rloo", **(THREE_DIGITS | start))
    task = checked_task(config)
    if regime == "cold":
        task.verify = stand_in  # type: ignore[method-assign]
    return Case(regime, config, task, train.starting_model(config, task, device))


def sampling(case: Case, rounds: int, peers: bool) -> dict:
    """Time the sampling of one batch of rollouts."""
    model, prompts, k = case.model, case.batch().prompts, case.config.k
    L, generator = case.task.max_new_tokens, case.generator()
    copies = prompts.repeat_interleave(k, dim=0)
    calls: dict[str, Callable] = {
        "plain.py": lambda: plain.sample(model, copies, L, END, generator),
        "ours": lambda: rollouts.roll_out(model, prompts, k, case.task, generator),
    }
    if peers:
        calls["HF generate"] = peer_sampler(model, prompts, k, L)
    return table("sampling", case, alternate(runnable(calls, case), rounds))


def steps(case: Case, rounds: int, peers: bool) -> dict:
    """Time a training step: sample, verify, weigh, differentiate, update."""
    own, generator = copy.deepcopy(case.model), case.generator()
    batch, config, L = case.batch(), case.config, case.task.max_new_tokens
    words = (own, train.new_optimizer(own, 1e-6), batch.prompts, case.verdict, config.method)
    calls: dict[str, Callable] = {
        "plain.py": functools.partial(plain.train_step, *words, config.k, L, END, generator),
        "ours": case.stepper(),
    }
    calls = runnable(calls, case)
    if peers:
        return table("training step", case, time_trl(case, rounds, calls))
    return table("training step", case, alternate(calls, rounds))


def runnable(calls: dict[str, Callable], case: Case) -> dict[str, Callable]:
    """plain.py is written for a CPU; elsewhere it sits out."""
    return {n: call for n, call in calls.items() if n != "plain.py" or case.device.type == "cpu"}


def table(what: str, case: Case, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Print and return the median, the range, the turns, and the median as a multiple of ours."""
    name = f"{what}, {case.name}"
    print(f"\n{name}\n{'':17}{'median s':>10}{'range':>18}{'turns':>7}{'times ours':>12}")
    rows, ours = {}, median(seconds["ours"])
    for label, s in seconds.items():
        rows[label] = {"median_s": median(s), "min_s": min(s), "max_s": max(s), "turns": len(s),
                       "vs_ours": median(s) / ours}  # fmt: skip
        spread = f"{min(s):.3f} - {max(s):.3f}"
        times = f"{rows[label]['vs_ours']:.1f}"
        print(f"{label:17}{median(s):>10.3f}{spread:>18}{len(s):>7}{times:>12}", flush=True)
    return {name: rows}


def scaling(case: Case, rounds: int, words: list[str]) -> dict[str, Any]:
    """The time of a warm step for several k, and the memory of a process that does one step."""
    cases = {k: case.with_(k=k) for k in SCALING_K}
    seconds = alternate({str(k): c.stepper() for k, c in cases.items()}, rounds)
    pass_rate = cases[1024].stepper()()["pass_rate"]
    idle = process_memory(0, words)
    print(f"\ntraining step, warm (pass rate {pass_rate:.2f}), {case.config.batch_size} prompts")
    print(f"{'rollouts each':>14}{'distinct in all':>17}{'seconds':>9}{'peak MB':>9}")
    rows = []
    for k, c in cases.items():
        distinct = len(c.roll_out().count)
        row = {"k": k, "distinct": distinct, "seconds": median(seconds[str(k)]),
               "peak_mb": process_memory(k, words)}  # fmt: skip
        rows.append(row)
        print("{k:14,}{distinct:17,}{seconds:9.3f}{peak_mb:9.0f}".format(**row), flush=True)
    held = "Python, torch and the model" if case.device.type == "cpu" else "the model"
    print(f"(of this memory, {idle:.0f} MB is for {held})")
    return {"pass_rate": pass_rate, "idle_mb": idle, "rows": rows}


def process_memory(k: int, words: list[str]) -> float:
    """Peak MB of a fresh process that does one warm training step (none for k = 0). words: the
    flags that it shares with this one."""
    words = [sys.executable, __file__, f"--memory={k}", *words]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def peak_mb(device: torch.device) -> float:
    """The most MB that this process has used: resident, or allocated by torch on the GPU. (On Linux
    getrusage would count the parent that started it.)"""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


def measure(args: argparse.Namespace, sizes: dict[str, Any], words: list[str]) -> dict:
    """Everything bench.json holds."""
    B, k, rounds, device = args.batch_size, args.k, args.rounds, torch.device(args.device)
    cold, warm = (make_case(regime, sizes, device) for regime in ("cold", "warm"))
    results: dict[str, Any] = {"sampling": {}, "step": {}}
    few, half = max(B // 4, 1), max(B // 2, 1)
    for case in (cold.with_(batch_size=B, k=k), warm.with_(batch_size=few, k=16 * k)):
        results["sampling"] |= sampling(case, rounds, args.peers)
    for case in (case.with_(batch_size=half, k=k) for case in (cold, warm)):
        results["step"] |= steps(case, rounds, args.peers)
    return results | {"scaling": scaling(warm.with_(batch_size=B), rounds, words)}


SIZES = ("digits", "n_layer", "n_head", "n_embd", "sft_until", "sft_steps")


def parser() -> Parser:
    """The command line."""
    made = Parser(prog="bench.py", description=__doc__,
                  formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    made.add_argument("--batch-size", type=whole(1), default=64, help="prompts (default 64)")
    made.add_argument("--k", type=whole(2), default=64, help="rollouts of each (default 64)")
    for f in flags():
        if f.name in SIZES:
            made.add_argument(dashed(f.name), type=f.metadata["type"], help="as in train.py")
    made.add_argument("--rounds", type=whole(1), default=5, help="timed turns (default 5)")
    made.add_argument("--peers", action="store_true", help="also time transformers and trl")
    made.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="default cpu")
    threads = threads_of_environment()
    made.add_argument(
        "--threads", type=whole(1, 1024), default=threads, help="on the CPU (default 1)"
    )
    made.add_argument("--json", type=path, default="bench.json", help="where the figures go")
    made.add_argument("--memory", type=whole(0), help=argparse.SUPPRESS)
    return made


def bench() -> None:
    """The command."""
    args = parser().parse_args()
    torch.set_num_threads(args.threads)
    pick_device(args.device)
    file = Path(args.json)
    place = file if file.exists() else file.parent  # better to know now than in a few minutes
    if file.is_dir() or not os.access(place, os.W_OK):
        raise UsageError(f"cannot write to --json {file}: give the name of a file")
    sizes = {name: getattr(args, name) for name in SIZES if getattr(args, name) is not None}
    words = [as_word(name, value) for name, value in sizes.items()]
    words += [as_word(name, getattr(args, name)) for name in ("batch_size", "device", "threads")]
    if args.memory is not None:
        device = torch.device(args.device)
        case = make_case("warm", sizes, device).with_(batch_size=args.batch_size, k=args.memory)
        if args.memory:
            case.stepper()()
        print(peak_mb(device))
        return
    if args.peers and not all(map(find_spec, ("transformers", "trl", "datasets"))):
        print("bench.py: peers left out; pip install -r recipes/requirements-trl.txt adds them")
        args.peers = False
    results = measure(args, sizes, words)
    about = {"command": " ".join(["python bench.py", *sys.argv[1:]]), "cpu": cpu_name(),
             "gpu": torch.cuda.get_device_name() if args.device == "cuda" else None,
             "threads": torch.get_num_threads(), "torch": torch.__version__}  # fmt: skip
    file.write_text(json.dumps(about | results, indent=1) + "\n")


def main() -> int:
    """The command; its exit statuses are those of harness.command."""
    return command("bench.py", bench)


def cpu_name() -> str:
    """What the kernel calls the CPU, if it gives it a name."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
