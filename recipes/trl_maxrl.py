"""MaxRL in TRL: a GRPOTrainer with maxrl.py's advantages, and settings for exactly its loss.

In your own script, change the class and the settings (copy this file, and beside it maxrl.py and
graded.py):

    trainer = EstimatorTrainer(             # was GRPOTrainer(
        args=GRPOConfig(**EXACT, ...),      # was args=GRPOConfig(...),

Or use it as a command, for questions whose answers have GSM8K's form (the result after `####`):

    python recipes/trl_maxrl.py --demo --out runs/demo        # no network, no GPU: half a minute
    accelerate launch recipes/trl_maxrl.py --model Qwen/Qwen2.5-0.5B-Instruct \\
        --dataset openai/gsm8k:main --estimator maxrl --k 8 --steps 500 --out runs/gsm8k

Left out: what README.md beside this file says about costs and pitfalls. Tested with TRL 1.16.0 on
CPUs; GPUs and vLLM were not tested.
"""

import argparse
import math
import os
import re
import sys
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import torch

sys.path.append(str(Path(__file__).resolve().parent.parent))  # last: a maxrl.py beside it wins
from maxrl import ADVANTAGES, ORDERED, check_order, pass_at_k

try:
    from accelerate.utils import gather
    from datasets import Dataset, load_dataset
    from datasets.exceptions import DatasetsError
    from transformers import AutoTokenizer, HfArgumentParser
    from trl import GRPOConfig, GRPOTrainer, ModelConfig, get_peft_config
except ImportError as error:
    if __name__ != "__main__":
        raise
    print(f"trl_maxrl.py: {error}; pip install -r recipes/requirements-trl.txt", file=sys.stderr)
    sys.exit(2)

# The settings of GRPOConfig under which TRL's loss is -(1/(B k)) sum A log pi, with log pi summed
# over tokens: one update for each batch of rollouts, from the very policy that drew them. Leave
# steps_per_generation unset beside them. TRL's max_grad_norm of 1.0 clips most early steps, because
# a sum over tokens has a longer gradient than a mean: that changes only a step's length.
EXACT: dict[str, Any] = dict(
    loss_type="luspo",  # a mean over rollouts of the sum over tokens; the default is a token mean
    importance_sampling_level="sequence",  # luspo's; older versions of TRL need it
    beta=0.0,  # no KL
    num_iterations=1,
    temperature=1.0,  # score what was sampled
    top_p=1.0,
    top_k=0,
    min_p=None,
    repetition_penalty=1.0,
    generation_kwargs=None,  # TRL applies them last, over all of these
    disable_dropout=True,
    top_entropy_quantile=1.0,  # a smaller one masks tokens
    entropy_coef=0.0,
    use_adaptive_entropy=False,
    mask_truncated_completions=False,  # True removes terms and leaves the divisor
    vllm_importance_sampling_correction=False,  # True drops rollouts by their ratio
    router_aux_loss_coef=0.0,  # of a mixture of experts
)


# ------------------------------------------------------------------------------- the trainer


class EstimatorTrainer(GRPOTrainer):
    """GRPOTrainer whose advantages are `ADVANTAGES[estimator]`; order: the T of that estimator.

    The reward of a rollout is the (weighted) sum over the reward functions, where None counts as 0;
    most estimators take only 0 and 1, `tailrl` any finite reward. Without an end token a rollout
    gets 0, or the lowest reward of its group if that is below 0: reward functions see text without
    that token and cannot know. Logged, with a reward of 1 or more as a success: `pass_rate`, `live`
    (share of prompts with a success), and in evaluations unbiased `pass@1`, `pass@2`, `pass@4`, ...
    A warning names settings that differ from EXACT. ValueError: an estimator, order or reward that
    does not exist or fit, no end token in the tokenizer, fewer prompts than a batch has.
    """

    def __init__(
        self, *args: Any, estimator: str = "maxrl", order: int | None = None, **kwargs: Any
    ) -> None:
        if estimator not in ADVANTAGES:
            raise ValueError(f"no estimator {estimator}; there are {', '.join(ADVANTAGES)}")
        super().__init__(*args, **kwargs)
        self.estimator, self.order, config = estimator, order, self.args
        check_order(estimator, self.num_generations, order)
        if None in self.eos_token_ids:
            raise ValueError("the tokenizer has no end token, so no rollout ever ends")
        prompts, data = config.generation_batch_size // self.num_generations, self.train_dataset
        if hasattr(data, "__len__") and len(data) < prompts:  # TRL would silently run no step
            raise ValueError(f"{len(data)} training prompts do not fill a batch of {prompts}")
        differ = [f"{n}={getattr(config, n)}" for n, v in EXACT.items() if getattr(config, n) != v]
        if config.steps_per_generation > config.gradient_accumulation_steps:
            differ.append("steps_per_generation > gradient_accumulation_steps")
        if differ:
            warnings.warn(
                f"the loss may not be maxrl.py's, see EXACT: {', '.join(differ)}", stacklevel=2
            )

    def _k(self) -> int:
        """Rollouts per prompt; an evaluation may have another number of them."""
        return self.num_generations if self.model.training else self.num_generations_eval

    def _calculate_rewards(self, *args: Any) -> torch.Tensor:
        """TRL's own, of all ranks in rank order, but changed for cut-offs: (B k, functions)."""
        rewards = super()._calculate_rewards(*args)
        ends = [bool(ids) and ids[-1] in self.eos_token_ids for ids in args[-1]]
        ends = gather(torch.tensor(ends, device=rewards.device)).view(-1, self._k(), 1)
        groups = rewards.view(*ends.shape[:2], -1)  # (B, k, reward functions)
        lowest = groups.nan_to_num().amin(1, keepdim=True).clamp(max=0)
        self._rewards = torch.where(ends, groups, lowest).view_as(rewards)
        return self._rewards

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        """TRL's own, with our advantages. Groups are contiguous over all ranks taken together."""
        output = super()._generate_and_score_completions(inputs)
        mode = "train" if self.model.training else "eval"
        weights = self.reward_weights.to(self._rewards)
        rewards = (self._rewards * weights).nansum(1).view(-1, self._k())  # (B, k)
        order = self.order if mode == "train" else None  # it may be above the k of evaluations
        advantages = ADVANTAGES[self.estimator](rewards, order=order).flatten()  # of all ranks
        first = self.accelerator.process_index * len(inputs)
        output["advantages"] = advantages[first : first + len(inputs)]

        logged = self._logs["advantages"]  # TRL has just put its own there
        for _ in range(min(len(advantages), len(logged))):
            logged.pop()
        logged.extend(advantages.tolist())

        k, solved = rewards.shape[1], (rewards >= 1).sum(1)  # (B,): TRL's means are over prompts
        values = {"pass_rate": solved / k, "live": (solved > 0).float()}
        if mode == "eval":
            tries = [2**i for i in range(k.bit_length())]  # 1, 2, 4, ... up to k
            values |= {f"pass@{j}": torch.as_tensor(pass_at_k(k, solved, j)) for j in tries}
        for name, value in values.items():
            self._metrics[mode][name].extend(value.tolist())
        return output


# ------------------------------------------------------------------- questions and answers

MARKER = "####"  # GSM8K's: the answer follows it
INSTRUCTION = f"Think step by step, then write {MARKER} and the answer, as a number, at the end."
FILES = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
# Signs, then a whole part with or without commas, then a fraction: bounded, so no text takes long.
_NUMBER = re.compile(
    r"\$?([-+]?)\$?((?:[1-9][0-9]{0,2}(?:,[0-9]{3}){1,9}|[0-9]{1,30})(?:\.[0-9]{0,30})?|\.[0-9]{1,30})"
    r" ?%?\.?"
)


def final_answer(text: str) -> str | None:
    """The text after the marker; None unless there is one marker with something after it."""
    _, *answers = text.split(MARKER)
    return answers[0].strip() or None if len(answers) == 1 else None


def same_answer(a: str, b: str) -> bool:
    """Whether two answers are equal as decimal numbers or, if either is not a number, as text.

    Around a number, `$`, `%` and a final full stop mean nothing: `-$5` is -5, `5 %.` is 5. A comma
    may separate groups of three digits and nothing else: `1,000` is 1000, `4,2` is no number.
    """
    found = [_NUMBER.fullmatch(text.strip()) for text in (a, b)]
    one, other = (Decimal(m[1] + m[2].replace(",", "")) if m else None for m in found)
    return a.strip() == b.strip() if one is None or other is None else one == other


def is_right(completions: list[Any], answer: list[str], **_: Any) -> list[float]:
    """The reward function: 1 where the final answer is the reference, else 0. Executes nothing."""
    texts = [c if isinstance(c, str) else c[-1]["content"] or "" for c in completions]
    found = [final_answer(text) for text in texts]
    return [float(f is not None and same_answer(f, a)) for f, a in zip(found, answer, strict=True)]


def problem(row: dict[str, Any], instruction: str, chat: bool) -> dict[str, Any]:
    """A row with `question` (or `prompt`) and `answer`, in the form that TRL trains on.

    chat: the prompt is a conversation, for TRL to render. ValueError: a row without that form."""
    question, answer = row.get("question", row.get("prompt")), row.get("answer")
    reference = final_answer(answer) if isinstance(answer, str) else None
    if not isinstance(question, str) or reference is None:
        raise ValueError(f"needs a text `question` (or `prompt`) and an `answer` with one {MARKER} "
                         f"and a result after it, not {str(row)[:200]}")  # fmt: skip
    text = f"{question}\n{instruction}\n" if instruction else question
    return {"prompt": [{"role": "user", "content": text}] if chat else text, "answer": reference}


def load(name: str, held_out: int, seed: int) -> tuple[Dataset, Dataset]:
    """Rows to train on, and others to hold out, from the split `test` or else from `train`.

    name: a .jsonl, .json, .csv or .parquet file, a folder, or NAME or NAME:CONFIG on the hub."""
    if (path := Path(name)).is_file():
        if path.suffix.lower() not in FILES or not path.stat().st_size:
            raise ValueError(f"a file must not be empty; its name must end in {', '.join(FILES)}")
        splits = load_dataset(FILES[path.suffix.lower()], data_files=name)
    else:
        hub, _, config = name.partition(":")
        splits = load_dataset(hub, config or None)
    if "train" not in splits:
        raise ValueError(f"it has no split `train`, only {', '.join(splits)}")
    if "test" not in splits:
        splits = splits["train"].train_test_split(test_size=held_out, seed=seed)
    return splits["train"], splits["test"].shuffle(seed=seed).select(range(held_out))


# ----------------------------------------------------------------------------- the command

NUMBERS = {  # flag: name of the setting (TRL's if it has one), default, default with --demo, help
    "--k": ("num_generations", 8, 16, "rollouts per prompt"),
    "--batch-size": ("batch_size", 16, 16, "prompts per step, over all processes"),
    "--micro-batch": ("per_device_train_batch_size", 8, 64, "rollouts in one pass, at most"),
    "--steps": ("max_steps", 500, 60, "updates"),
    "--lr": ("learning_rate", 1e-6, 1e-2, "learning rate, constant"),
    "--max-tokens": ("max_completion_length", 512, 4, "length of a completion, at most"),
    "--held-out": ("held_out", 64, 16, "prompts to evaluate on, a multiple of the processes"),
    "--eval-every": ("eval_steps", 50, 20, "steps between evaluations and checkpoints"),
}


def parse_args(argv: list[str]) -> argparse.Namespace:
    """The flags. Settings of TRL have TRL's names in the result."""
    about = "MaxRL in TRL. All settings of GRPOConfig are flags too: `trl grpo --help` lists them."
    parser = HfArgumentParser(GRPOConfig, allow_abbrev=False, usage="", description=about)
    parser.error = lambda text: parser.exit(2, f"trl_maxrl.py: {text}\n")  # one line
    for action in parser._actions[1:]:
        action.help = argparse.SUPPRESS
    add, demo, gpu = parser.add_argument, "--demo" in argv, torch.cuda.is_available()
    add("--model", help="name or folder of a causal language model")
    add("--dataset", help="file, folder, NAME or NAME:CONFIG with `question` and `answer`")
    add("--out", dest="output_dir", help="new folder for checkpoints and the trained model")
    add("--estimator", default="maxrl", choices=ADVANTAGES, help="the advantages of maxrl.py")
    add("--order", type=int, help=f"the T of {' and '.join(ORDERED)} (default k)")
    add("--instruction", default="" if demo else INSTRUCTION, help="appended to every question")
    add("--lora", type=int, metavar="RANK", help="train LoRA adapters of this rank (needs peft)")
    add("--resume", action="store_true", help="go on from the last checkpoint in --out")
    add("--demo", action="store_true", help="a tiny random model and data set, made in --out")
    for flag, (name, usual, of_demo, what) in NUMBERS.items():
        add(flag, dest=name, type=type(usual), metavar="N", help=what)
        parser.set_defaults(**{name: of_demo if demo else usual})
    parser.set_defaults(**EXACT, bf16=gpu, use_cpu=not gpu, lr_scheduler_type="constant", seed=0)
    if lost := [word for word in argv if re.fullmatch("--[^=]*=--", word)]:
        parser.error(f"{lost[0]} gives no value")  # argparse would drop it, and fail
    args = parser.parse_args(argv)

    numbers = {flag: getattr(args, name) for flag, (name, *_) in NUMBERS.items()}
    for flag, number in (numbers | {"--lora": 1 if args.lora is None else args.lora}).items():
        if not 0 < number < math.inf:
            parser.error(f"{flag} must be above 0, and finite")
    try:
        check_order(args.estimator, args.num_generations, args.order)
    except ValueError as error:
        parser.error(str(error))
    named = bool(args.model) + bool(args.dataset)
    if not args.output_dir or named != (0 if args.demo else 2):
        parser.error("give --out FOLDER, and either --model and --dataset or --demo alone")
    out = Path(args.output_dir)
    whole = [path.parent for path in out.glob("checkpoint-*/trainer_state.json")]  # written last
    if args.resume and not whole:
        parser.error(f"--resume: no whole checkpoint in {out}")
    if not args.resume and out.exists() and (not out.is_dir() or any(out.iterdir())):
        parser.error(f"--out {out} exists: --resume goes on with it, another --out starts anew")
    args.resume = str(max(whole, key=lambda p: int(p.name[11:]))) if args.resume else None
    return args


def build(args: argparse.Namespace) -> EstimatorTrainer:
    """All that a run needs. Raises what main() catches if something the flags name is missing."""
    rollouts, k = args.batch_size * args.num_generations, args.num_generations
    share = rollouts // int(os.environ.get("WORLD_SIZE", 1))  # of this process
    settings = {n: v for n, v in vars(args).items() if n in GRPOConfig.__dataclass_fields__}
    settings["per_device_train_batch_size"] = math.gcd(share, args.per_device_train_batch_size)
    settings |= dict(generation_batch_size=rollouts, per_device_eval_batch_size=k)
    settings |= dict(eval_strategy="steps", eval_on_start=not args.resume)
    settings |= dict(save_steps=args.eval_steps, save_total_limit=2)
    config = GRPOConfig(**settings)
    config.gradient_accumulation_steps = config.steps_per_generation  # one update for each batch
    with config.main_process_first():  # the other processes find what the first one has made
        if args.demo:
            from recipes.demo import make_demo

            args.model, args.dataset = make_demo(Path(args.output_dir, "demo"))
        tokenizer = AutoTokenizer.from_pretrained(args.model)
        form = dict(instruction=args.instruction, chat=tokenizer.chat_template is not None)
        train, test = (
            rows.map(problem, fn_kwargs=form, remove_columns=rows.column_names)
            for rows in load(args.dataset, args.held_out, args.seed)
        )
    rank, everywhere = args.lora or 0, "all-linear"
    lora = dict(lora_r=rank, lora_alpha=2 * rank, lora_dropout=0, lora_target_modules=everywhere)
    peft_config = get_peft_config(ModelConfig(use_peft=rank > 0, **lora))
    return EstimatorTrainer(
        args.model, is_right, config, train, test, tokenizer, peft_config=peft_config,
        estimator=args.estimator, order=args.order
    )  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Train, evaluate, save; print held-out pass@k before and after."""
    args = parse_args(sys.argv[1:] if argv is None else argv)
    try:
        trainer = build(args)
    except (ValueError, OSError, ArithmeticError, LookupError, ImportError, DatasetsError) as error:
        about = f"--model {args.model} --dataset {args.dataset} --held-out {args.held_out}"
        print(f"trl_maxrl.py: {about}: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    trainer.train(resume_from_checkpoint=args.resume)
    trainer.save_model()
    if trainer.is_world_process_zero():
        report([row for row in trainer.state.log_history if "eval_pass@1" in row])
    return 0


def report(evaluations: list[dict[str, Any]]) -> None:
    """Held-out pass@k of the first and the last evaluation."""
    first, last = evaluations[0], evaluations[-1]
    for j in sorted(int(name[10:]) for name in {*first} & {*last} if name.startswith("eval_pass@")):
        print(f"held-out pass@{j} {first[f'eval_pass@{j}']:.3f} -> {last[f'eval_pass@{j}']:.3f}")


if __name__ == "__main__":
    sys.exit(main())
