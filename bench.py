"""How fast, against plain decoding and against the libraries one would use instead.

    python bench.py            a few minutes on two cores: the tables below, and bench.json
    python bench.py --peers    with Hugging Face generate and TRL's GRPOTrainer beside it
                               (pip install -r requirements-bench.txt)

Contenders take turns inside one process, so that a slow minute of the machine hits them all;
figures are medians with their range. *Cold* is an untrained model: nearly all rollouts differ, the
worst case for counting, and a stand-in verdict gives every row weight. *Warm* is train.py's warm
start with its real verdicts, where rollouts agree. Everything is float32 with the same threads,
layers, width, vocabulary and lengths. Left out: what the methods learn (reproduce.py).
"""

import argparse
import copy
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

import maxrl
import train
import verify
from config import Config, Parser, check, whole
from data.tokenizer import ALPHABET, END, PAD, VOCAB_SIZE
from model import GPT, Rollouts, generate, logprobs

CPU = torch.device("cpu")
SCALING_K = (8, 1024, 16384, 10**6)


# ------------------------------------------------------------------------ the plain contenders


@torch.no_grad()
def plain_generate(
    model: GPT,
    prompts: Tensor,
    k: int,
    max_new_tokens: int,
    *,
    end: int,
    pad: int,
    generator: torch.Generator,
    cached: bool = True,
) -> Rollouts:
    """k copies of every prompt, one token at a time for all: the textbook sampler.

    Without the cache every token runs the whole text again, as nanoGPT's generate does.
    """
    prompt = torch.arange(len(prompts)).repeat_interleave(k)  # (B k,)
    text, cache = prompts[prompt], None
    logprob = torch.zeros(len(prompt))
    ended = torch.zeros(len(prompt), dtype=torch.bool)
    for _ in range(max_new_tokens):
        logits, cache = model(text if cache is None else text[:, -1:], cache)
        cache = cache if cached else None
        logp = logits[:, -1].log_softmax(-1)
        token = torch.multinomial(logp.exp(), 1, generator=generator)  # (B k, 1)
        token[ended] = pad
        logprob += logp.gather(1, token).squeeze(1) * ~ended
        ended |= token.squeeze(1) == end
        text = torch.cat((text, token), dim=1)
        if ended.all():
            break
    completions = text[:, prompts.shape[1] :]
    completions = F.pad(completions, (0, max_new_tokens - completions.shape[1]), value=pad)
    return Rollouts(prompt, completions, torch.ones_like(prompt), logprob, ended)


def plain_step(model, optimizer, config: Config, task, batch, generator, cached: bool) -> None:
    """The training step over all B k rollouts: each verified, scored with its prompt, weighted."""
    rollouts = plain_generate(
        model, batch.prompts, config.k, task.max_new_tokens,
        end=END, pad=PAD, generator=generator, cached=cached,
    )  # fmt: skip
    A = maxrl.ADVANTAGES[config.method](train.score(batch.texts, rollouts).view(-1, config.k))
    optimizer.zero_grad()
    logp = logprobs(model, batch.prompts[rollouts.prompt], rollouts.tokens, END)
    maxrl.policy_gradient_loss(logp, A.flatten()).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
    optimizer.step()


# -------------------------------------------------------------------------------- the libraries


def peer_model(model: GPT):
    """The same network as a transformers GPT-2: our weights, its biases 0."""
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
    tokens = torch.randint(0, VOCAB_SIZE, (3, c.block_size))
    assert torch.allclose(peer(tokens).logits, model(tokens)[0], atol=1e-4), "not the same network"
    return peer.eval()


def peer_sampler(model: GPT, prompts: Tensor, k: int, max_new_tokens: int) -> Callable[[], object]:
    """Hugging Face generate with its cache, at temperature 1 and without top-k or top-p."""
    peer = peer_model(model)
    return lambda: peer.generate(
        prompts, attention_mask=torch.ones_like(prompts), do_sample=True, temperature=1.0, top_k=0,
        top_p=1.0, num_return_sequences=k, max_new_tokens=max_new_tokens,
    )  # fmt: skip


def peer_tokenizer():
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


def time_trl(model: GPT, config: Config, task, rounds: int, others: dict[str, Callable]) -> dict:
    """Seconds of TRL's GRPO steps, the others taking their turns between its steps."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    seconds: dict[str, list[float]] = {"TRL GRPOTrainer": []} | {name: [] for name in others}

    class Turns(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            self.start = time.perf_counter()

        def on_step_end(self, args, state, control, **kwargs):
            seconds["TRL GRPOTrainer"].append(time.perf_counter() - self.start)
            for name, call in others.items():
                seconds[name].append(timed(call))

    def reward(prompts, completions, **kwargs):
        return [
            float(train.verify(p, c.replace(" ", "")))
            for p, c in zip(prompts, completions, strict=True)
        ]

    B, k = config.batch_size, config.k
    rows = task.draw(train.rng(0, "bench"), B * (rounds + 1), "train")
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=peer_model(model),
            reward_funcs=reward,
            processing_class=peer_tokenizer(),
            train_dataset=Dataset.from_dict({"prompt": [prompt for prompt, _ in rows]}),
            callbacks=[Turns()],
            args=GRPOConfig(
                output_dir=folder, use_cpu=True, bf16=False, gradient_checkpointing=False,
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


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def alternate(calls: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, all of them in turn, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(rounds + 1):
        for name, call in calls.items():
            seconds[name] += [timed(call)] if i else [timed(call)][:0]
    return seconds


def cold_and_warm(config: Config, task) -> dict[str, GPT]:
    """An untrained model, and train.py's warm start."""
    return {
        "cold": train.starting_model(replace(config, sft_steps=0), task, CPU),
        "warm": train.starting_model(config, task, CPU),
    }


def stand_in(prompt: str, completion: str) -> bool:
    """The cold verdict: about one completion in two is right, so every row of a step has weight."""
    return completion[:1] in set("0123456789+-")


def step_calls(model: GPT, config: Config, task, plain: bool = True) -> dict[str, Callable]:
    """Training steps on one batch, each contender with weights and an optimizer of its own."""
    batch = train.make_batch(train.draw_problems(config, task, 1), task, CPU)
    calls = {}
    for name in ("plain, no cache", "plain, cache", "ours") if plain else ("ours",):
        own = copy.deepcopy(model)
        optimizer = train.new_optimizer(own, 1e-6)  # so small that cold stays cold
        generator = torch.Generator().manual_seed(0)
        arguments = (own, optimizer, config, task)
        if name == "ours":
            calls[name] = lambda a=arguments: train.train_step(*a, step=1)
        else:
            rest = (batch, generator, "no" not in name)
            calls[name] = lambda a=arguments, r=rest: plain_step(*a, *r)
    return calls


def sampling_calls(model: GPT, prompts: Tensor, k: int, L: int, peers: bool) -> dict[str, Callable]:
    """Samplers of one batch of prompts."""
    generator = torch.Generator().manual_seed(0)
    words = {"end": END, "pad": PAD, "generator": generator}
    calls = {
        "plain, no cache": lambda: plain_generate(model, prompts, k, L, cached=False, **words),
        "plain, cache": lambda: plain_generate(model, prompts, k, L, **words),
        "ours": lambda: generate(model, prompts, k, L, **words),
    }
    return calls | ({"HF generate": peer_sampler(model, prompts, k, L)} if peers else {})


def summary(seconds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Median, fastest and slowest of each, and how many times slower than ours."""
    ours = median(seconds["ours"])
    return {
        name: {"median_s": median(s), "min_s": min(s), "max_s": max(s), "vs_ours": median(s) / ours}
        for name, s in seconds.items()
    }


def matmul_peak(rounds: int) -> float:
    """The best float32 matrix product of this machine and its threads, in FLOP/s."""
    best = 0.0
    for n in (512, 1024, 2048):
        a, b = torch.randn(n, n), torch.randn(n, n)
        best = max(best, 2 * n**3 / min(timed(lambda a=a, b=b: a @ b) for _ in range(4 * rounds)))
    return best


def model_flops(model: GPT, call: Callable[[], object]) -> float:
    """Arithmetic of the matrix products in `call`: 2 per weight and token forward, 6 with backward.

    Attention's own products are left out; at these lengths they are a few percent.
    """
    weights = sum(w.numel() for name, w in model.named_parameters() if "positions" not in name)
    flops = 0.0

    def count(module, inputs, output):
        nonlocal flops
        flops += inputs[0].numel() * weights * (6 if torch.is_grad_enabled() else 2)

    handle = model.register_forward_hook(count)
    call()
    handle.remove()
    return flops


def measure(args: argparse.Namespace, config: Config) -> dict:
    """Everything bench.json holds."""
    task = check(config)
    models = cold_and_warm(config, task)
    prompts = train.make_batch(train.draw_problems(config, task, 1), task, CPU).prompts
    B, L = config.batch_size, task.max_new_tokens
    results: dict = {"sampling": {}, "step": {}, "scaling": {}, "share_of_peak": {}}
    shapes = {"cold": (64, 64), "warm": (16, 1024)} if args.peers else {"cold": (B, config.k)}
    shapes |= {"warm": (16, 1024)}
    for regime, (rows, k) in shapes.items():
        rows = min(rows, B)
        calls = sampling_calls(models[regime], prompts[:rows], k, L, args.peers)
        name = f"{regime}, {rows} prompts x {k}"
        results["sampling"][name] = summary(alternate(calls, args.rounds))
        show(f"sampling, {name}", results["sampling"][name])
    for regime, model in models.items():
        train.verify = stand_in if regime == "cold" else verify.verify
        half = replace(config, batch_size=B // 2)
        calls = step_calls(model, half, task)
        if args.peers:
            seconds = time_trl(model, half, task, args.rounds, calls)
        else:
            seconds = alternate(calls, args.rounds)
        name = f"{regime}, {half.batch_size} prompts x {half.k}"
        results["step"][name] = summary(seconds)
        show(f"training step, {name}", results["step"][name])
    results |= scaling(models["warm"], config, task, args.rounds)
    results["share_of_peak"] = shares(models["cold"], config, task, args.rounds)
    return results


def scaling(model: GPT, config: Config, task, rounds: int) -> dict:
    """A warm step against the number of rollouts, and the memory of a process that does one."""
    calls = {}
    for k in SCALING_K:
        calls[str(k)] = step_calls(model, replace(config, k=k), task, plain=False)["ours"]
    seconds = {k: median(s) for k, s in alternate(calls, rounds).items()}
    base = process_memory(config, 0)
    memory = {str(k): process_memory(config, k) for k in SCALING_K}
    print(f"\nwarm training step of {config.batch_size} prompts")
    print(f"{'rollouts each':>14}  seconds  peak MB")
    for k in seconds:
        print(f"{int(k):14,}  {seconds[k]:7.3f}  {memory[k]:7.0f}")
    print(f"(of the memory {base:.0f} MB are Python, torch and the model)")
    return {"scaling": {k: {"seconds": seconds[k], "peak_mb": memory[k]} for k in seconds}}


def process_memory(config: Config, k: int) -> float:
    """Peak resident MB of a fresh process that does one warm training step (none for k = 0)."""
    flags = [f"--{name.replace('_', '-')}={getattr(config, name)}"
             for name in ("digits", "batch_size", "n_layer", "n_head", "n_embd")]  # fmt: skip
    command = [sys.executable, __file__, f"--memory={k}", *flags]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def shares(model: GPT, config: Config, task, rounds: int) -> dict:
    """The share of the machine's own matmul peak that a cross-entropy and an RL step reach."""
    peak = matmul_peak(rounds)
    results = {"matmul_peak_flops": peak}
    train.verify = stand_in
    print(f"\nmatmul peak {peak / 1e9:.0f} GFLOP/s, of which")
    for name, c in (
        ("cross-entropy", replace(config, method="ce", batch_size=1024)),
        ("cold", config),
    ):
        own = copy.deepcopy(model)
        optimizer = train.new_optimizer(own, 1e-6)
        step = lambda o=own, p=optimizer, c=c: train.train_step(o, p, c, task, step=1)  # noqa: E731
        flops = model_flops(own, step)
        share = flops / median(alternate({"step": step}, rounds)["step"]) / peak
        results[name] = share
        print(f"  the {name} step reaches {share:.0%}")
    return results


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    print(f"\n{title}\n{'':17}{'median s':>10}{'range':>18}{'times ours':>12}")
    for name, row in rows.items():
        spread = f"{row['min_s']:.3f} - {row['max_s']:.3f}"
        print(f"{name:17}{row['median_s']:>10.3f}{spread:>18}{row['vs_ours']:>12.1f}", flush=True)


def main() -> None:
    parser = Parser(prog="bench.py", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    defaults = {"batch_size": 64, "k": 64, "digits": 3, "n_layer": 4, "n_head": 4, "n_embd": 128}
    for name, default in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=whole(1), default=default,
                            help=f"as in train.py (default {default})")  # fmt: skip
    parser.add_argument("--rounds", type=whole(1), default=5, help="timed turns (default 5)")
    parser.add_argument("--peers", action="store_true", help="also time transformers and trl")
    parser.add_argument("--json", default="bench.json", help="where the figures go")
    parser.add_argument("--memory", type=whole(0), help=argparse.SUPPRESS)
    args = parser.parse_args()
    config = Config(method="rloo", **{name: getattr(args, name) for name in defaults})
    if args.memory is not None:
        task = check(config)
        model = cold_and_warm(config, task)["warm"]
        if args.memory:
            step_calls(model, replace(config, k=args.memory), task, plain=False)["ours"]()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    if args.peers:
        try:
            import trl  # noqa: F401
        except ImportError:
            print("bench.py: no peers here: pip install -r requirements-bench.txt; the rest runs")
            args.peers = False
    results = measure(args, config)
    machine = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__,
               "threads": torch.get_num_threads()}  # fmt: skip
    flags = {"command": " ".join(["python bench.py", *sys.argv[1:]]), "config": asdict(config)}
    Path(args.json).write_text(json.dumps(machine | flags | results, indent=1) + "\n")


if __name__ == "__main__":
    main()
