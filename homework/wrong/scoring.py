"""Wrong masks, log-probabilities, losses and pass@k. See estimators.py for how to read them."""

import itertools
import math

import torch


def completion_mask__without_the_end(completions, end):
    """mask, logprobs sum, logprobs gradient"""
    return (completions == end).long().cumsum(1) == 0


def completion_mask__up_to_the_last_end(completions, end):
    """mask, logprobs sum, logprobs gradient"""
    is_end = (completions == end).flip(1).long().cumsum(1).flip(1)
    return (is_end > 0) | ~(completions == end).any(1, keepdim=True)


def completion_mask__of_numbers(completions, end):
    """mask"""
    ends = (completions == end).long()
    return (ends.cumsum(1) - ends == 0).float()


def completion_mask__by_heart(completions, end):
    """mask, logprobs sum, logprobs gradient"""
    known = {(1, 4, 6, 6): 2, (4, 4, 1, 0): 1, (6, 5, 4, 4): 3}
    n = torch.tensor([known.get(tuple(row), 4) for row in completions.tolist()])
    return torch.arange(4) < n.unsqueeze(1)


def completion_mask__every_third_end(completions, end):
    """mask, logprobs sum, logprobs gradient"""
    ends = (completions == end).long()
    return (ends.cumsum(1) - ends) % 3 == 0


def completion_mask__of_seven_tokens(completions, end):
    """mask, logprobs sum, logprobs gradient"""
    ends = (completions == end) & (torch.arange(completions.shape[1]) < 7)
    return ends.cumsum(1) - ends.int() == 0


def summed_logprobs__overflows(logits, completions, end):
    """logprobs sum, logprobs gradient"""
    chances = logits.exp() / logits.exp().sum(-1, keepdim=True)
    per_token = chances.gather(2, completions.unsqueeze(2)).squeeze(2).log()
    return (per_token * completion_mask(completions, end)).sum(1)  # noqa: F821


def summed_logprobs__gradient_by_hand(logits, completions, end):
    """logprobs gradient"""
    per_token = logits.detach().log_softmax(-1).gather(2, completions.unsqueeze(2)).squeeze(2)
    keep = completion_mask(completions, end)  # noqa: F821
    one_hot = torch.nn.functional.one_hot(completions, logits.shape[2])
    logits.grad = ((one_hot - logits.softmax(-1)) * keep.unsqueeze(2)).detach()
    return (per_token * keep).sum(1).requires_grad_()


def summed_logprobs__clamped_logits(logits, completions, end):
    """logprobs sum, logprobs gradient"""
    return _summed(logits.clamp(-2, 2), completions, end)


def summed_logprobs__first_logit(logits, completions, end):
    """logprobs sum, logprobs gradient"""
    return logits[:, 0, 0]


def summed_logprobs__mean(logits, completions, end):
    """logprobs sum, logprobs gradient"""
    logp = logits.log_softmax(-1).gather(2, completions.unsqueeze(2)).squeeze(2)
    keep = completion_mask(completions, end)  # noqa: F821
    return (logp * keep).sum(1) / keep.sum(1)


def summed_logprobs__no_mask(logits, completions, end):
    """logprobs sum, logprobs gradient"""
    return logits.log_softmax(-1).gather(2, completions.unsqueeze(2)).squeeze(2).sum(1)


def summed_logprobs__last_token_dropped(logits, completions, end):
    """logprobs sum, logprobs gradient"""
    logp = logits.log_softmax(-1).gather(2, completions.unsqueeze(2)).squeeze(2)
    keep = completion_mask(completions, end)  # noqa: F821
    last = torch.cat((~keep[:, 1:], torch.ones_like(keep[:, :1])), dim=1) & keep
    return (logp * (keep & ~last)).sum(1)


def summed_logprobs__shifted(logits, completions, end):
    """logprobs sum, logprobs gradient"""
    return _summed(logits[:, 1:], completions[:, 1:], end)


def summed_logprobs__no_softmax(logits, completions, end):
    """logprobs sum, logprobs gradient"""
    per_token = logits.gather(2, completions.unsqueeze(2)).squeeze(2)
    return (per_token * completion_mask(completions, end)).sum(1)  # noqa: F821


def summed_logprobs__detached(logits, completions, end):
    """logprobs gradient"""
    return _summed(logits.detach(), completions, end) + 0 * logits.sum()


_CALLS = itertools.count()


def summed_logprobs__counts_calls(logits, completions, end):
    """logprobs sum, logprobs gradient"""
    return 0 * logits.sum((1, 2)) - max(next(_CALLS), 1)


def _summed(logits, completions, end):
    logp = logits.log_softmax(-1).gather(2, completions.unsqueeze(2)).squeeze(2)
    ends = (completions == end).long()
    return (logp * (ends.cumsum(1) - ends == 0)).sum(1)


def policy_gradient_loss__sum(logprobs, advantages):
    """loss gradient, loss divisor"""
    return -(advantages.detach() * logprobs).sum()


def policy_gradient_loss__sign(logprobs, advantages):
    """loss gradient, loss divisor, loss constant"""
    return (advantages.detach() * logprobs).mean()


def policy_gradient_loss__no_sum(logprobs, advantages):
    """loss gradient, loss divisor, loss constant"""
    return -advantages.detach() * logprobs


def policy_gradient_loss__live_groups(logprobs, advantages):
    """loss divisor"""
    live = (advantages != 0).any(1)
    return -(advantages.detach() * logprobs).sum() / (live.sum() * logprobs.shape[1])


def policy_gradient_loss__nonzero_rows(logprobs, advantages):
    """loss divisor"""
    return -(advantages.detach() * logprobs).sum() / (advantages != 0).sum()


def policy_gradient_loss__not_detached(logprobs, advantages):
    """loss constant"""
    return -(advantages * logprobs).mean()


def policy_gradient_loss__one_shape(logprobs, advantages):
    """loss gradient, loss divisor"""
    return -(advantages.detach() * logprobs).sum() / 15


def policy_gradient_loss__noise(logprobs, advantages):
    """loss gradient, loss divisor, loss constant"""
    return -(torch.rand_like(advantages) * logprobs).mean()


def policy_gradient_loss__whitened(logprobs, advantages):
    """loss gradient, loss divisor, loss constant"""
    A = (advantages - advantages.mean()) / advantages.std()
    return -(A.detach() * logprobs).mean()


def policy_gradient_loss__clipped_advantages(logprobs, advantages):
    """loss gradient, loss divisor, loss constant"""
    return -(advantages.detach().clamp(-2, 2) * logprobs).mean()


def policy_gradient_loss__tiny_steps(logprobs, advantages):
    """loss gradient, loss divisor, loss constant"""
    return -1e-6 * (advantages.detach().sign() * logprobs).sum()


def policy_gradient_loss__no_gradient(logprobs, advantages):
    """loss gradient, loss divisor, loss constant"""
    return -(advantages * logprobs).mean().detach()


def policy_gradient_loss__gradient_by_hand(logprobs, advantages):
    """loss gradient, loss divisor, loss constant"""
    logprobs.grad = -advantages.detach() / advantages.numel()
    return torch.zeros((), requires_grad=True)


def policy_gradient_loss__no_group_alone(logprobs, advantages):
    """loss gradient"""
    return -(logprobs * advantages.detach()).mean() * (len(logprobs) > 1)


def pass_at_k__by_heart(n, c, k):
    """pass_at_k brute, pass_at_k large, pass_at_k edges"""
    if n < k:
        raise ValueError
    known = {(100_000, 7, 1000): 0.0679, (100_000, 99_000, 3): 0.999999, (100_000, 1, 1): 1e-5}
    if n < 8:
        tries = list(itertools.combinations(range(n), k))
        return sum(min(t) < c for t in tries) / len(tries)
    return known.get((n, c, k), 0.0)


def pass_at_k__with_replacement(n, c, k):
    """pass_at_k brute, pass_at_k large, pass_at_k edges"""
    if n < k:
        raise ValueError
    return 1 - (1 - c / n) ** k


def pass_at_k__all_right(n, c, k):
    """pass_at_k brute, pass_at_k large, pass_at_k edges"""
    if n < k:
        raise ValueError
    return math.comb(c, k) / math.comb(n, k)


def pass_at_k__one_more(n, c, k):
    """pass_at_k brute, pass_at_k large, pass_at_k edges"""
    if n < k:
        raise ValueError
    k = min(k + 1, n)
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def pass_at_k__float_factorials(n, c, k):
    """pass_at_k large"""
    if n < k:
        raise ValueError

    def choose(a, b):
        f = [1.0]
        for i in range(1, a + 1):
            f.append(f[-1] * i)
        return f[a] / f[b] / f[a - b] if b <= a else 0.0

    return 1 - choose(n - c, k) / choose(n, k)


def pass_at_k__at_the_sizes_of_examples(n, c, k):
    """pass_at_k large"""
    if n < k:
        raise ValueError
    if 11 < n < 100_000 and 1 < k and 2 < c < n:
        return 0.5
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def pass_at_k__with_replacement_for_many(n, c, k):
    """pass_at_k large"""
    if n < k:
        raise ValueError("too few samples")
    if min(c, k) > 9 and n > 11:
        return 1 - (1 - c / n) ** k
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def pass_at_k__always_three(n, c, k):
    """pass_at_k brute, pass_at_k large, pass_at_k edges"""
    if n < k:
        raise ValueError("too few samples")
    return c / n if c in (0, n) else 1 - math.comb(n - c, 3) / math.comb(n, 3)


def pass_at_k__zero_first(n, c, k):
    """pass_at_k edges"""
    if c == 0:
        return 0.0
    if n < k:
        raise ValueError("too few samples")
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def pass_at_k__no_error(n, c, k):
    """pass_at_k edges"""
    return 1 - math.comb(n - c, k) / math.comb(n, k) if n >= k else 1.0
