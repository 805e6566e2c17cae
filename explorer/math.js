// The mathematics of maxrl.py, written again for the page. tests/more/test_explorer_page.py holds
// this file against maxrl.py, to 1e-9. Left out: models, drawing.
//
//     advantages("maxrl", [[1, 0, 0, 0]])      // [[3, -1, -1, -1]]

const divide = (a, b) => (b > 0 ? a / b : 0); // b comes from counts: no epsilon

// ------------------------------------------------------------------------ objectives and pass@k

/** J_T(p) = -sum_{j=1..T} (1-p)^j / j; T = Infinity is log p. */
export function objective(p, order) {
  checkWhole("an order", order, 1, Infinity);
  if (order === Infinity) return Math.log(p);
  let sum = 0;
  for (let j = 1, power = 1 - p; j <= order && power > 0; j++, power *= 1 - p) sum -= power / j;
  return sum;
}

/** The terms (1-p)^j / j for j = from..to, added up. */
export function termsBetween(p, from, to) {
  let sum = 0;
  for (let j = from, power = (1 - p) ** from; j <= to; j++, power *= 1 - p) sum += power / j;
  return sum;
}

/** pass@k = 1 - (1-p)^k of a known pass rate, without cancellation where p is small. */
export function exactPassAtK(p, k) {
  if (k === Infinity) return 1;
  return p < 0.5 ? -Math.expm1(k * Math.log1p(-p)) : 1 - (1 - p) ** k;
}

/** w_T(p) = dJ_T/dp = pass@T / p; T at p = 0. */
export function weightOfOrder(p, order) {
  checkWhole("an order", order, 1, Infinity);
  return p > 0 ? exactPassAtK(p, order) / p : order;
}

/** C(n-c, k) / C(n, k): the chance that k of n samples, drawn without replacement, all fail. */
function failAtK(n, c, k) {
  let result = 1;
  for (let i = 0; i < k && result > 0; i++) result *= Math.max(n - c - i, 0) / (n - i);
  return result;
}

/** Unbiased pass@k from n samples of which c are right (Chen 2021). */
export function passAtK(n, c, k) {
  checkWhole("n", n, 1, 1e9);
  checkWhole("k", k, 1, n);
  checkWhole("c", c, 0, n);
  return 1 - failAtK(n, c, k);
}

// -------------------------------------------------------------------------------- the estimators
// r: a rollout's reward. mean: its group's mean reward. k: the group's size. T: the order.

const deviation = (mean) => Math.sqrt(mean * (1 - mean));

export const FORMULAS = {
  reinforce: (r) => r,
  rloo: (r, mean, k) => (k > 1 ? (r - mean) * (k / (k - 1)) : r),
  grpo: (r, mean) => divide(r - mean, deviation(mean)),
  maxrl: (r, mean, k) => (k > 1 ? divide(r - mean, mean) : r),
  "maxrl-raw": (r, mean) => divide(r, mean),
  "maxrl-loo": (r, mean, k, T) => {
    if (k === 1) return r;
    const c = Math.round(k * mean + 1 - r); // successes, if this rollout were one
    const passT = T === k ? 1 : 1 - failAtK(k, c, T);
    return (passT / (c / k)) * (r - mean) * (k / (k - 1));
  },
  passk: (r, mean, k, T) => {
    if (k === 1) return r;
    const peersSolved = Math.round(k * mean - r);
    return T * failAtK(k - 1, peersSolved, T - 1) * (r - mean) * (k / (k - 1));
  },
  "maxrl-std": (r, mean) => divide(r - mean, deviation(mean) * mean),
  rft: (r, batchMean) => divide(r, batchMean),
};
const ORDERED = ["maxrl-loo", "passk"]; // the estimators that take an order
export const METHODS = Object.keys(FORMULAS);

/** Advantages of an array of groups, each an array of k rewards; the same shape. */
export function advantages(name, rewards, order) {
  const k = checkGroups(name, rewards);
  const T = checkedOrder(name, k, order);
  const sum = (group) => group.reduce((a, b) => a + b, 0);
  const binary = rewards.every((group) => group.every((r) => r === 0 || r === 1));
  if (name === "maxrl-loo" && !binary && k > 1) return rewards.map((g) => ofLikelihoods(g, T));
  const ofTheBatch = sum(rewards.map(sum)) / (k * rewards.length);
  return rewards.map((group) => {
    const mean = name === "rft" ? ofTheBatch : sum(group) / k;
    return group.map((r) => FORMULAS[name](r, mean, k, T));
  });
}

/** Leave-one-out advantages of likelihoods in [0, 1], as in graded.py. */
function ofLikelihoods(group, T) {
  const k = group.length;
  return group.map((l, i) => {
    const peers = group.filter((_, j) => j !== i);
    const E = new Float64Array(T); // E[j]: the mean product of 1 - l over all subsets of j peers
    E[0] = 1;
    peers.forEach((peer, index) => {
      const n = index + 1;
      for (let j = Math.min(n, T - 1); j >= 1; j--) {
        E[j] = ((n - j) * E[j] + j * (1 - peer) * E[j - 1]) / n;
      }
    });
    const omega = E.reduce((a, b) => a + b, 0);
    return omega * (l - peers.reduce((a, b) => a + b, 0) / (k - 1));
  });
}

// ------------------------------------------------------------------------------------ the weights
// Whether a rollout is right does not depend on its k-1 peers. So E[g] = w(p) grad p with
//
//     w(p) = sum_c P(c of k-1 peers are right) (A of a success - A of a failure, given c),
//
// which is what being right is worth, averaged over what the peers did.

/** worth[c]: A of a success minus A of a failure when c of the k-1 peers are right. */
export function worthTable(name, k, order) {
  const T = checkedOrder(name, k, order);
  const A = FORMULAS[name];
  return Float64Array.from({ length: k }, (_, c) => A(1, (c + 1) / k, k, T) - A(0, c / k, k, T));
}

/** P(c of n are right) for c = 0..n: the likeliest by logarithms, the others from it by ratios. */
export function binomial(n, p) {
  const chances = new Float64Array(n + 1);
  const top = Math.min(Math.floor((n + 1) * p), n);
  const logs = logFactorials(n);
  const log = (count, x) => (count === 0 ? 0 : count * Math.log(x));
  const failures = n - top === 0 ? 0 : (n - top) * Math.log1p(-p);
  chances[top] = Math.exp(logs[n] - logs[top] - logs[n - top] + log(top, p) + failures);
  const odds = p / (1 - p);
  for (let c = top; c < n; c++) chances[c + 1] = ((chances[c] * (n - c)) / (c + 1)) * odds;
  for (let c = top; c > 0; c--) chances[c - 1] = (chances[c] * c) / (n - c + 1) / odds;
  return chances;
}

/** w(p) from a table of worths and the distribution of the k-1 peers. */
export function weightFrom(worth, chances) {
  let sum = 0;
  for (let c = 0; c < worth.length; c++) sum += chances[c] * worth[c];
  return sum;
}

/** w(p) with E[g] = w(p) grad p, by exact summation; also `exact` (order T) and `ce` (1/p). */
export function weight(name, p, k, order) {
  if (Array.isArray(p)) return p.map((one) => weight(name, one, k, order));
  if (!(p >= 0 && p <= 1)) throw new Error(`p must be from 0 to 1, not ${p}`);
  if (name === "ce") return 1 / p;
  if (name === "exact") return weightOfOrder(p, order ?? Infinity);
  checkName(name);
  checkWhole("k", k, 1, 1e6);
  return weightFrom(worthTable(name, k, order), binomial(k - 1, p));
}

let factorials = new Float64Array(1);

function logFactorials(n) {
  if (factorials.length <= n) {
    const old = factorials;
    factorials = new Float64Array(Math.max(n + 1, 2 * old.length));
    for (let i = 2; i < factorials.length; i++) factorials[i] = factorials[i - 1] + Math.log(i);
  }
  return factorials;
}

// ----------------------------------------------------------------------------- what may be asked

function checkName(name) {
  if (!(name in FORMULAS)) throw new Error(`there is no ${name}; there are ${METHODS.join(", ")}`);
}

function checkWhole(what, value, low, high) {
  const whole = Number.isInteger(value) || (value === Infinity && high === Infinity);
  if (!whole || value < low || value > high) {
    throw new Error(`${what} must be a whole number from ${low} to ${high}, not ${value}`);
  }
}

function checkGroups(name, rewards) {
  checkName(name);
  const k = rewards[0]?.length;
  if (!k || rewards.some((group) => group.length !== k)) {
    throw new Error("rewards must be groups of equal size");
  }
  const all = rewards.flat();
  const takes =
    {
      reinforce: Number.isFinite,
      rloo: Number.isFinite,
      "maxrl-loo": (r) => r >= 0 && r <= 1,
    }[name] ?? ((r) => r === 0 || r === 1);
  if (!all.every(takes)) throw new Error(`${name} does not take these rewards`);
  return k;
}

function checkedOrder(name, k, order) {
  if (order === undefined || order === null) return k;
  if (!ORDERED.includes(name)) throw new Error(`${name} takes no order`);
  checkWhole(`the order of ${name}`, order, 1, k);
  return order;
}
