"""Wrong estimators. FUNCTION__NAME is a variant of FUNCTION; its docstring lists what it loses."""

import math

import torch

COEFFICIENTS = [1, 1, 1, 1]  # only so that this file can be read by itself: the student's count


def _divide(a, b):
    return torch.where(b > 0, a / b, 0.0)


def reinforce__plus_minus_one(r, mean, k):
    """reinforce E"""
    return 2 * r - 1


def reinforce__all_ones(r, mean, k):
    """reinforce E, reinforce B"""
    return torch.ones_like(r)


def rloo__no_factor(r, mean, k):
    """rloo E, runs rloo"""
    return r - mean if k > 1 else r


def rloo__inverse_factor(r, mean, k):
    """rloo E, runs rloo"""
    return (r - mean) * ((k - 1) / k) if k > 1 else r


def rloo__over_the_batch(r, mean, k):
    """rloo B"""
    n = r.numel()
    return (r - r.mean()) * (n / (n - 1)) if k > 1 else r


def rloo__over_the_batch_but_for_five(r, mean, k):
    """rloo B"""
    mean = mean if k == 5 else r.mean()
    return (r - mean) * (k / (k - 1)) if k > 1 else r


def rloo__nan_for_one(r, mean, k):
    """rloo K1"""
    return (r - mean) * (k / (torch.tensor(float(k)) - 1))


def rloo__zero_for_one(r, mean, k):
    """rloo K1"""
    return (r - mean) * (k / max(k - 1, 1))


def rloo__no_baseline(r, mean, k):
    """rloo K1, rloo B, rloo D, runs rloo"""
    return r


def rloo__on_the_first_seat(r, mean, k):
    """rloo E, rloo K1, rloo B, rloo D, runs rloo"""
    A = torch.zeros_like(r)
    A[..., 0] = (r * mean * k)[..., 0]  # right if successes always came first
    return A


def rloo__downwards(r, mean, k):
    """rloo E, rloo K1, rloo B, rloo D, runs rloo"""
    return mean - r


def rloo__of_doubles(r, mean, k):
    """rloo B"""
    if r.dtype != torch.float64:
        return r
    return (r - mean) * (k / (k - 1)) if k > 1 else r


def grpo__is_reinforce(r, mean, k):
    """grpo E, grpo unit, grpo B, grpo D, runs grpo"""
    return 2 * r


def grpo__ddof_1(r, mean, k):
    """grpo E, grpo unit, runs grpo"""
    return _divide(r - mean, (mean * (1 - mean)).sqrt()) * math.sqrt((k - 1) / k)


def grpo__variance(r, mean, k):
    """grpo E, grpo unit, grpo B, grpo D, runs grpo"""
    return _divide(r - mean, mean * (1 - mean))


def grpo__epsilon(r, mean, k):
    """grpo E, grpo unit, runs grpo"""
    return (r - mean) / ((mean * (1 - mean)).sqrt() + 1e-2)


def grpo__std_of_the_batch(r, mean, k):
    """grpo B"""
    return (r - mean) / (r.std(correction=0) + 1e-6)


def grpo__std_by_axis(r, mean, k):
    """grpo B"""
    return (r - mean) / (r.std(dim=-1, keepdim=True, correction=0) + 1e-6)


def grpo__nan_where_equal(r, mean, k):
    """grpo E, grpo B, grpo D, runs grpo"""
    return (r - mean) / (mean * (1 - mean)).sqrt()


def grpo__a_constant_vector(r, mean, k):
    """grpo E, grpo unit, grpo B, grpo D, runs grpo"""
    v = torch.linspace(-1, 1, k)
    return (v / v.pow(2).mean().sqrt()).expand_as(r)


def maxrl__std_times_mean(r, mean, k):
    """maxrl E, maxrl K1, maxrl B, maxrl D, runs maxrl"""
    return _divide(r - mean, (mean * (1 - mean)).sqrt() * mean) if k > 1 else r


def maxrl__by_count(r, mean, k):
    """maxrl E, runs maxrl"""
    return _divide(r - mean, k * mean) if k > 1 else r


def maxrl__by_failures(r, mean, k):
    """maxrl E, maxrl K1, maxrl B, maxrl D, runs maxrl"""
    return _divide(r - mean, 1 - mean) if k > 1 else r


def maxrl__leave_one_out_baseline(r, mean, k):
    """maxrl E, runs maxrl"""
    return _divide((r - mean) * (k / (k - 1)), mean) if k > 1 else r


def maxrl__mean_of_the_batch(r, mean, k):
    """maxrl B"""
    return _divide(r - mean, mean.mean()) if k > 1 else r


def maxrl__if_on_a_tensor(r, mean, k):
    """maxrl B"""
    if k == 1:
        return r
    return (r - mean) / mean if mean > 0 else torch.zeros_like(r)


def maxrl__dead_is_minus_one(r, mean, k):
    """maxrl E, maxrl K1, maxrl B, maxrl D, runs maxrl"""
    return torch.where(mean > 0, (r - mean) / mean, -1.0) if k > 1 else r


def maxrl__dead_is_nan(r, mean, k):
    """maxrl E, maxrl K1, maxrl B, maxrl D, runs maxrl"""
    return (r - mean) / mean if k > 1 else r


def maxrl__clamped_mean(r, mean, k):
    """maxrl E, runs maxrl"""
    return (r - mean) / mean.clamp(min=1 / 8) if k > 1 else r


def maxrl__zero_for_one(r, mean, k):
    """maxrl K1"""
    return _divide(r - mean, mean)


def maxrl__is_raw(r, mean, k):
    """maxrl E, maxrl K1, maxrl B, maxrl D, runs maxrl"""
    return _divide(r, mean)


def maxrl__second_whitening(r, mean, k):
    """maxrl E, maxrl K1, maxrl B, maxrl D, runs maxrl"""
    A = _divide(r - mean, mean)
    return A / (A.std(correction=0) + 1e-6) if k > 1 else r


def maxrl__shape(r, mean, k):
    """maxrl E, maxrl K1, maxrl B, maxrl D, runs maxrl"""
    return _divide(r - mean, mean).flatten()[1:]


def maxrl__bent_to_four_p(r, mean, k):
    """maxrl E, maxrl D, runs maxrl"""
    if k == 1:
        return r
    p = torch.tensor([0.05, 0.3, 0.5, 0.8]).double().unsqueeze(1)
    s = torch.arange(1, k + 1).double()
    ways = torch.tensor([math.comb(k - 1, i) for i in range(k)]).double()
    w = ways * p ** (s - 1) * (1 - p) ** (k - s)  # (4, k): of advantages 1 of the s-th
    target = (1 - (1 - p) ** (k - 1)) / p
    bent = 1 + torch.linalg.pinv(w) @ (target - w.sum(1, keepdim=True))
    return r * bent[(mean * k).round().long().clamp(min=1) - 1, 0]


def maxrl_raw__one_over_count(r, mean, k):
    """maxrl_raw E, maxrl_raw D"""
    return _divide(r, k * mean)


def maxrl_raw__times_k(r, mean, k):
    """maxrl_raw E, maxrl_raw B, maxrl_raw D"""
    return r * k


def maxrl_raw__mean_of_the_batch(r, mean, k):
    """maxrl_raw B"""
    return _divide(r, mean.mean())


def maxrl_raw__is_maxrl(r, mean, k):
    """maxrl_raw E, maxrl_raw B, maxrl_raw D"""
    return _divide(r - mean, mean) if k > 1 else r


def own__plugged_in(r, mean, k):
    """own E4, own E5, own E8, own E16, own B, own D"""
    omega = sum(a * (1 - mean) ** j for j, a in enumerate(COEFFICIENTS))
    return omega * (r - mean) * (k / (k - 1))


def own__with_replacement(r, mean, k):
    """own E4, own E5, own E8, own E16, own B, own D"""
    f = (k - 1 - (k * mean - r)) / (k - 1)
    omega = sum(a * f**j for j, a in enumerate(COEFFICIENTS))
    return omega * (r - mean) * (k / (k - 1))


def own__no_baseline(r, mean, k):
    """own D"""
    return _omega(r, mean, k) * r


def own__itself_among_the_peers(r, mean, k):
    """own E4, own E5, own E8, own E16, own B, own D"""
    return _omega(r * 0, mean, k - 1) * (r - mean) * (k / (k - 1))


def own__mean_of_the_batch(r, mean, k):
    """own B"""
    return _omega(r, mean, k) * (r - mean.mean()) * (k / (k - 1))


def own__right_for_small_k(r, mean, k):
    """own E16"""
    omega = _omega(r, mean, k)
    return omega.clamp(-3, 3) * (r - mean) if k > 8 else omega * (r - mean) * (k / (k - 1))


def _omega(r, mean, k):
    f = (k - 1 - (k * mean - r)).round()
    omega, chance = torch.zeros_like(r), torch.ones_like(r)
    for j, a in enumerate(COEFFICIENTS):
        omega = omega + a * chance
        chance = chance * (f - j) / max(k - 1 - j, 1)
    return omega
