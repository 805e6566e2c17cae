"""MaxRL in TRL: a GRPOTrainer with the advantages of maxrl.py, and the settings of its exact loss.

In a script of your own, change the class and the settings (copy this file, maxrl.py and
graded.py beside it):

    trainer = EstimatorTrainer(             # was GRPOTrainer(
        args=GRPOConfig(**EXACT, ...),      # was args=GRPOConfig(...),

Or as a command, for questions with answers in GSM8K's form (after `####`):

    python recipes/trl_maxrl.py --demo --out runs/demo        # no network, no GPU: half a minute
    accelerate launch recipes/trl_maxrl.py --model Qwen/Qwen2.5-0.5B-Instruct \\
        --dataset openai/gsm8k:main --estimator maxrl --k 8 --steps 500 --out runs/gsm8k

Left out: what README.md beside this file says about costs and pitfalls. Tried with TRL 1.16.0 on
CPUs; GPUs and vLLM were not tried here.
"""

import argparse
import itertools
import json
import random
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import torch

sys.path.append(str(Path(__file__).resolve().parent.parent))  # last: a maxrl.py beside it wins
from maxrl import ADVANTAGES, ORDERED, check_order, pass_at_k

try:
    from accelerate import PartialState
    from accelerate.utils import gather
    from datasets import Dataset, DatasetDict, load_dataset
    from datasets.exceptions import DatasetsError
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig
    from transformers.trainer_utils import get_last_checkpoint
    from trl import GRPOConfig, GRPOTrainer
except ImportError as error:
    missing = f"{error}; install TRL: pip install -r recipes/requirements-trl.txt"
    if __name__ != "__main__":
        raise ImportError(missing) from error
    print(f"trl_maxrl.py: {missing}", file=sys.stderr)
    sys.exit(2)

# The settings of GRPOConfig under which TRL's loss is -(1/(B k)) sum A log pi, log pi summed over
# tokens: one update for each batch of rollouts, from the very policy that drew them. With it,
# steps_per_generation stays unset (or equal to gradient_accumulation_steps). max_grad_norm is not
# part of it: TRL's default of 1.0 clips most early steps of this loss, whose gradients are longer
# than those of a mean over tokens. That changes the length of a step and not its direction.
EXACT: dict[str, Any] = dict(
    loss_type="luspo",  # a mean over rollouts of the sum over tokens; the default is a token mean
    importance_sampling_level="sequence",  # luspo's; in older versions of TRL no other is right
    beta=0.0,  # no KL
    num_iterations=1,
    temperature=1.0,  # score what was sampled
    top_p=1.0,
    top_k=0,
    min_p=None,
    repetition_penalty=1.0,
    generation_kwargs=None,  # TRL applies them last, over all of these
    disable_dropout=True,
    top_entropy_quantile=1.0,  # less masks tokens
    entropy_coef=0.0,
    use_adaptive_entropy=False,
    mask_truncated_completions=False,  # True takes terms out and leaves the divisor
    vllm_importance_sampling_correction=False,  # True drops rollouts by their ratio
    router_aux_loss_coef=0.0,  # of a mixture of experts
)


# ------------------------------------------------------------------------------- the trainer


class EstimatorTrainer(GRPOTrainer):
    """GRPOTrainer, with `ADVANTAGES[estimator]` for its advantages.

    estimator: a name in maxrl.ADVANTAGES; order: of `maxrl-loo` and `passk`. The (weighted) sum of
    a rollout's rewards must be what the estimator takes: 0 or 1 for most; None counts as 0. A
    rollout that was cut off before its end token has reward 0, whatever the reward function says:
    that function sees the text without the end token. Logged beside TRL's own figures:
    `pass_rate`, `live` (share of prompts with a success), and in an evaluation unbiased `pass@1`,
    `pass@2`, `pass@4`, ... A warning names the settings that turn the gradient from maxrl.py's.
    ValueError: an estimator, an order or a reward that there is not, a tokenizer without an end
    token, a data set with fewer prompts than a batch.
    """

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: GRPOConfig | None = None,
        *others: Any,
        estimator: str = "maxrl",
        order: int | None = None,
        **kwargs: Any,
    ) -> None:
        if estimator not in ADVANTAGES:
            raise ValueError(f"no estimator {estimator}; there are {', '.join(ADVANTAGES)}")
        check_order(estimator, (args or GRPOConfig).num_generations, order)
        super().__init__(model, reward_funcs, args, *others, **kwargs)
        self.estimator, self.order = estimator, order
        if None in self.eos_token_ids:
            raise ValueError("the tokenizer has no end token, so no rollout ever ends")
        prompts, data = self.args.generation_batch_size // self.num_generations, self.train_dataset
        if hasattr(data, "__len__") and len(data) < prompts:
            raise ValueError(
                f"{len(data)} prompts do not fill a batch of {prompts}: no step is run"
            )
        if differ := self._differ():
            warnings.warn(f"not the loss of maxrl.py, see EXACT: {', '.join(differ)}", stacklevel=2)

    def _differ(self) -> list[str]:
        """The settings that turn the gradient from that of EXACT, as `name=value`."""
        args = self.args
        idle = {  # of no consequence
            "loss_type": args.loss_type == "dr_grpo",  # a constant factor
            "importance_sampling_level": True,  # the ratio is 1 at both
            "vllm_importance_sampling_correction": not args.use_vllm,
            "router_aux_loss_coef": not self.aux_loss_enabled,
            "disable_dropout": not any(
                isinstance(m, torch.nn.Dropout) and m.p > 0 for m in self.model.modules()
            ),
        }
        differ = [f"{name}={getattr(args, name)}" for name, value in EXACT.items()
                  if getattr(args, name) != value and not idle.get(name)]  # fmt: skip
        if args.steps_per_generation > args.gradient_accumulation_steps:
            differ.append("steps_per_generation > gradient_accumulation_steps")
        return differ

    def _calculate_rewards(
        self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: list[list[int]]
    ) -> torch.Tensor:
        """Of all ranks, in rank order, (B k, reward functions): TRL's own, and 0 without an end."""
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        ends = has_end(completion_ids_list, self.eos_token_ids)
        ends = gather(torch.tensor(ends, device=rewards.device))
        if not ends.any():
            warnings.warn("all rollouts were cut off: raise max_completion_length", stacklevel=2)
        self._rewards = rewards * ends.unsqueeze(1)
        return self._rewards

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        """TRL's own, with other advantages. Groups are contiguous over the ranks together."""
        output = super()._generate_and_score_completions(inputs)
        mode = "train" if self.model.training else "eval"
        k = self.num_generations if mode == "train" else self.num_generations_eval
        rewards = (self._rewards * self.reward_weights.to(self._rewards)).nansum(1).view(-1, k)
        order = self.order if mode == "train" else None  # which may be above the k of evaluations
        try:
            advantages = ADVANTAGES[self.estimator](rewards, order=order).flatten()  # of all ranks
        except ValueError as error:
            raise ValueError(f"{error} (in sum over the reward functions)") from None
        first = self.accelerator.process_index * len(inputs)
        output["advantages"] = advantages[first : first + len(inputs)]

        logged = self._logs["advantages"]  # TRL has just put its own there
        for _ in range(min(len(advantages), len(logged))):
            logged.pop()
        logged.extend(advantages.tolist())
        for name, values in figures(rewards, mode).items():
            self._metrics[mode][name].extend(values)
        return output


def has_end(completion_ids: list[list[int]], end_ids: Iterable[int]) -> list[bool]:
    """Whether each completion stops with an end token; if not it was cut off."""
    return [bool(ids) and ids[-1] in set(end_ids) for ids in completion_ids]


def figures(rewards: torch.Tensor, mode: str) -> dict[str, list[float]]:
    """What is logged of rewards (B, k), prompt by prompt, so that a mean is one over prompts."""
    k, solved = rewards.shape[1], rewards.sum(1)
    values = {"pass_rate": solved / k, "live": (solved > 0).float()}
    if mode == "eval" and bool((solved == solved.round()).all()):
        tries = [2**i for i in range(k.bit_length())]  # 1, 2, 4, ... up to k
        values |= {f"pass@{j}": torch.as_tensor(pass_at_k(k, solved, j)) for j in tries}
    return {name: value.tolist() for name, value in values.items()}


# ------------------------------------------------------------------- questions and answers

MARKER = "####"  # GSM8K's: what follows it is the answer
INSTRUCTION = f"Think step by step, then write {MARKER} and the answer, as a number, at the end."
_NUMBER = re.compile(r"[-+]?[0-9]{1,30}(\.[0-9]{1,30})?")  # bounded: no text takes long


def final_answer(text: str) -> str | None:
    """What follows the one marker; None if there is no marker, or several, or nothing after it.

    >>> final_answer("6 * 7 = 42 #### 42"), final_answer("#### 41 #### 42"), final_answer("42")
    ('42', None, None)
    """
    _, marker, answer = text.partition(MARKER)
    return (answer.strip() or None) if marker and MARKER not in answer else None


def same_answer(a: str, b: str) -> bool:
    """Equal as decimal numbers (`1,000` is `1000.0`, `$5.` is `5`), or letter by letter."""
    a, b = (text.strip().lstrip("$").rstrip(".%").replace(",", "") for text in (a, b))
    if _NUMBER.fullmatch(a) and _NUMBER.fullmatch(b):
        return Decimal(a) == Decimal(b)
    return a == b


def is_right(completions: list[Any], answer: list[str], **_: Any) -> list[float]:
    """The reward function: 1 where the final answer is the reference, else 0. Executes nothing."""
    texts = [c if isinstance(c, str) else c[-1]["content"] or "" for c in completions]
    found = [final_answer(text) for text in texts]
    return [float(f is not None and same_answer(f, a)) for f, a in zip(found, answer, strict=True)]


def problems(rows: Iterable[dict[str, Any]], instruction: str, chat: bool) -> list[dict[str, Any]]:
    """Rows with `question` (or `prompt`) and `answer` -> what TRL trains on. ValueError: a row is
    not of that form. chat: prompts are conversations, which TRL renders by the chat template."""
    result: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        question, answer = row.get("question", row.get("prompt")), row.get("answer")
        if not isinstance(question, str) or not isinstance(answer, str):
            raise ValueError(f"row {number} has no text `question` (or `prompt`) and `answer`")
        reference = final_answer(answer)
        if reference is None:
            raise ValueError(f"the answer of row {number} has no single {MARKER} with a result")
        text = f"{question}\n{instruction}\n" if instruction else question
        prompt = [{"role": "user", "content": text}] if chat else text
        result.append({"prompt": prompt, "answer": reference})
    if not result:
        raise ValueError("the data set has no rows")
    return result


def read_rows(name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Training and held-out rows of a .jsonl, .json, .csv or .parquet file, a folder, or NAME or
    NAME:CONFIG of a hub. The held-out ones are its split `test`, if it has one."""
    if Path(name).is_file():
        kind = {"jsonl": "json"}.get(Path(name).suffix[1:], Path(name).suffix[1:])
        splits = load_dataset(kind, data_files=name)
    else:
        path, _, config = (name, "", "") if Path(name).exists() else name.partition(":")
        splits = load_dataset(path, config or None)
    assert isinstance(splits, DatasetDict)
    if "train" not in splits:
        raise ValueError(f"it has no split `train`, only {', '.join(splits)}")
    return list(splits["train"]), list(splits["test"]) if "test" in splits else []


def split(train: list[Any], test: list[Any], n: int, seed: int) -> tuple[list[Any], list[Any]]:
    """Training problems and n held-out ones, from `test` or else out of `train`."""
    shuffled = random.Random(seed).sample(test or train, len(test or train))
    if len(shuffled) < n + (not test):
        raise ValueError(f"{len(shuffled)} problems do not leave {n} to hold out: --held-out N")
    return (train if test else shuffled[n:]), shuffled[:n]


# ------------------------------------------------------------------------------- the demo


def make_demo(folder: Path) -> tuple[str, str]:
    """A tiny random model with its tokenizer, and a data set: the greatest of three digits."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    digits = [str(d) for d in range(4)]
    words = ["<pad>", "<end>", MARKER, *digits]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<end>", padding_side="left"
    )
    sizes = LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=32,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(sizes).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    triples = itertools.product(digits, repeat=3)
    rows = [{"question": " ".join(t), "answer": f"{MARKER} {max(t)}"} for t in triples]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / "model"), str(folder / "data.jsonl")


# What --demo sets of the flags below where they are not given; all else is as in any run.
DEMO: dict[str, Any] = dict(
    k=16,
    batch_size=16,
    steps=60,
    lr=1e-2,
    max_tokens=4,
    held_out=16,
    eval_every=20,
    instruction="",
)


# ----------------------------------------------------------------------------- the command


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The flags; those not given are --demo's, or the usual defaults."""
    usual = dict(k=8, batch_size=16, steps=500, lr=1e-6, max_tokens=512, held_out=64, eval_every=50,
                 instruction=INSTRUCTION)  # fmt: skip
    parser = Parser(prog="trl_maxrl.py", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--model", help="name or folder of a causal language model")
    add("--dataset", help="file, folder, NAME or NAME:CONFIG with `question` and `answer`")
    add("--out", required=True, type=Path, help="folder for checkpoints and the trained model")
    add("--estimator", default="maxrl", choices=ADVANTAGES, help="default maxrl")
    add("--order", type=int, help=f"of {' and '.join(ORDERED)} (default k)")
    add("--k", type=int, help="rollouts per prompt (default 8)")
    add("--batch-size", type=int, help="prompts per step, over all processes (default 16)")
    add("--micro-batch", type=int, help="rollouts per process in one pass (default: up to 8)")
    add("--steps", type=int, help="updates (default 500)")
    add("--lr", type=float, help="learning rate, constant (default 1e-6)")
    add("--max-tokens", type=int, help="of a completion (default 512)")
    add("--instruction", help="what is appended to every question")
    add("--held-out", type=int, help="prompts to evaluate on (default 64; a multiple of processes)")
    add("--eval-every", type=int, help="steps between evaluations and checkpoints (default 50)")
    add("--seed", type=int, default=0)
    add("--lora", type=int, metavar="RANK", help="train LoRA adapters of this rank (needs peft)")
    add("--vllm", action="store_true", help="TRL's use_vllm (not tried here)")
    add("--resume", action="store_true", help="go on from the last checkpoint in --out")
    add("--demo", action="store_true", help="a tiny random model and data set, made in --out")
    args = parser.parse_args(argv)
    for name, value in (usual | (DEMO if args.demo else {})).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    check_args(parser, args)
    return args


def check_args(parser: Parser, args: argparse.Namespace) -> None:
    """One line for what does not go together."""
    given = [args.model is not None, args.dataset is not None]
    if any(given) if args.demo else not all(given):
        parser.error("give --model and --dataset, or --demo alone")
    for name in ("batch_size", "steps", "max_tokens", "held_out", "eval_every", "lr"):
        if not getattr(args, name) > 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0")
    if args.k < 2:
        parser.error("--k must be at least 2: TRL takes no groups of one")
    if args.order is not None and args.estimator not in ORDERED:
        parser.error(f"--order is for {' and '.join(ORDERED)}")
    if args.order is not None and not 1 <= args.order <= args.k:
        parser.error(f"--order must be from 1 to k = {args.k}")
    checkpoint = get_last_checkpoint(args.out) if args.out.is_dir() else None
    if args.resume:
        if checkpoint is None:
            parser.error(f"--resume: no checkpoint in {args.out}")
        if not Path(checkpoint, "trainer_state.json").exists():  # the last file of one
            parser.error(f"--resume: {checkpoint} is not whole, delete it")
    elif checkpoint is not None:
        parser.error(f"{args.out} has a checkpoint: --resume goes on with it, another --out starts")


def micro_batch(rollouts: int, processes: int, wanted: int | None, most: int = 8) -> int:
    """Rollouts per process and pass; ValueError if the rollouts of a step do not divide so."""
    share = rollouts // processes
    size = wanted or max(n for n in range(1, most + 1) if share % n == 0)
    if size < 1 or rollouts % (processes * size):
        raise ValueError(
            f"{rollouts} rollouts (--batch-size times --k) do not divide into {processes} "
            f"processes with passes of {size} (--micro-batch)"
        )
    return size


def settings(args: argparse.Namespace, processes: int) -> GRPOConfig:
    """TRL's settings for these flags: EXACT, and the sizes."""
    most = 64 if args.demo else 8
    rows = micro_batch(args.batch_size * args.k, processes, args.micro_batch, most)
    gpu = torch.cuda.is_available()
    return GRPOConfig(
        **EXACT,
        output_dir=str(args.out),
        num_generations=args.k,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=args.batch_size * args.k // (rows * processes),
        per_device_eval_batch_size=args.k,
        max_completion_length=args.max_tokens,
        max_steps=args.steps,
        learning_rate=args.lr,
        lr_scheduler_type="constant",
        bf16=gpu,
        use_cpu=not gpu,
        seed=args.seed,
        logging_steps=max(1, min(10, args.eval_every)),
        eval_strategy="steps",
        eval_steps=args.eval_every,
        eval_on_start=not args.resume,
        save_steps=args.eval_every,
        save_total_limit=2,
        report_to="none",
        use_vllm=args.vllm,
    )


@contextmanager
def about(flag: str) -> Iterator[None]:
    """Errors of the libraries in here become one line that opens with the flag it is about."""
    try:
        yield
    except (ValueError, OSError, DatasetsError) as error:
        raise ValueError(f"{flag}: {str(error).splitlines()[0]}") from error


def build(args: argparse.Namespace) -> EstimatorTrainer:
    """Everything a run needs; the errors that main() catches: the flags ask for what is not."""
    state = PartialState(cpu=not torch.cuda.is_available())
    config = settings(args, state.num_processes)
    if args.demo:
        with state.main_process_first():  # the others find it there
            made = args.out / "demo"
            if not (made / "data.jsonl").exists():
                make_demo(made)
        args.model, args.dataset = str(made / "model"), str(made / "data.jsonl")
    with about(f"--model {args.model}"):
        tokenizer = AutoTokenizer.from_pretrained(args.model)
        if tokenizer.eos_token_id is None:
            raise ValueError("it has no end token, so no answer of it ever ends")
    with about(f"--dataset {args.dataset}"):
        chat = tokenizer.chat_template is not None
        train, test = (problems(rows, args.instruction, chat) if rows else []
                       for rows in read_rows(args.dataset))  # fmt: skip
        train, test = split(train, test, args.held_out, args.seed)
        if len(train) < args.batch_size:
            raise ValueError(f"{len(train)} training prompts do not fill a step: --batch-size N")
    adapters = {}
    if args.lora:
        from peft import LoraConfig

        adapters = {"peft_config": LoraConfig(r=args.lora, lora_alpha=2 * args.lora,
                                              target_modules="all-linear")}  # fmt: skip
    return EstimatorTrainer(
        model=args.model,
        reward_funcs=is_right,
        args=config,
        train_dataset=Dataset.from_list(train),
        eval_dataset=Dataset.from_list(test),
        processing_class=tokenizer,
        estimator=args.estimator,
        order=args.order,
        **adapters,
    )


def main(argv: list[str] | None = None) -> int:
    """Train, evaluate, save; prints held-out pass@k at first and at last."""
    args = parse_args(argv)
    try:
        trainer = build(args)
    except (ValueError, OSError, ImportError) as error:
        print(f"trl_maxrl.py: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    trainer.train(resume_from_checkpoint=args.resume or None)
    trainer.save_model()
    if trainer.accelerator.is_main_process:
        report([row for row in trainer.state.log_history if "eval_pass@1" in row])
    return 0


def report(evaluations: list[dict[str, Any]]) -> None:
    """Held-out pass@k of the first and the last evaluation."""
    first, last = evaluations[0], evaluations[-1]
    tries = sorted(int(name[10:]) for name in first if name.startswith("eval_pass@"))
    for name in (f"pass@{j}" for j in tries):
        print(f"held-out {name} {first['eval_' + name]:.3f} -> {last['eval_' + name]:.3f}")


if __name__ == "__main__":
    sys.exit(main())
