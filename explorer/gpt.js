// The transformer of model.py, run in the page: one token at a time, keys and values cached.
// Left out: gradients, batches.
//
//     const model = new GPT(config, weights);        // weights: Float32Array, in state_dict order
//     model.after(prompt, written)                   // chances of each token that may follow

import { uniform } from "./random.js";

export class GPT {
  constructor(config, weights) {
    Object.assign(this, config);
    const C = this.n_embd;
    let at = 0;
    const take = (size) => {
      at += size;
      return weights.subarray(at - size, at);
    };
    const norm = () => ({ gain: take(C), bias: take(C) });
    this.tokens = take(this.vocab_size * C);
    this.positions = take(this.block_size * C);
    this.blocks = Array.from({ length: this.n_layer }, () => ({
      norm1: norm(),
      qkv: take(3 * C * C),
      proj: take(C * C),
      norm2: norm(),
      up: take(4 * C * C),
      down: take(4 * C * C),
      keys: new Float64Array(this.block_size * C),
      values: new Float64Array(this.block_size * C),
    }));
    this.norm = norm();
    if (at !== weights.length) throw new Error("the weights do not fit the sizes");
  }

  /** How likely each token is after a prompt and what was written since. Remembered, for the prompt
   *  at hand: then more rollouts cost only what they write that was not written before. */
  after(prompt, written) {
    if (this.prompt !== prompt.join()) {
      this.prompt = prompt.join();
      this.known = new Map([["", softmax(this.run(prompt, 0))]]);
    }
    const text = written.join();
    if (!this.known.has(text)) this.known.set(text, softmax(this.run(written, prompt.length)));
    return this.known.get(text);
  }

  /** Run tokens from `position` on; the logits after the last. */
  run(tokens, position) {
    return tokens.map((token, i) => this.step(token, position + i)).at(-1);
  }

  /** Logits of what follows `token` at `position`; the cache holds the positions before it. */
  step(token, position) {
    const C = this.n_embd;
    const x = new Float64Array(C);
    for (let i = 0; i < C; i++)
      x[i] = this.tokens[token * C + i] + this.positions[position * C + i];
    for (const block of this.blocks) {
      add(x, matvec(block.proj, this.attend(block, layerNorm(x, block.norm1), position)));
      add(x, matvec(block.down, matvec(block.up, layerNorm(x, block.norm2)).map(gelu)));
    }
    return matvec(this.tokens, layerNorm(x, this.norm));
  }

  /** Attention of one new position over the cached ones and itself. */
  attend(block, x, position) {
    const [C, size] = [this.n_embd, this.n_embd / this.n_head];
    const qkv = matvec(block.qkv, x); // query, key, value, one after the other
    block.keys.set(qkv.subarray(C, 2 * C), position * C);
    block.values.set(qkv.subarray(2 * C), position * C);
    const out = new Float64Array(C);
    for (let first = 0; first < C; first += size) {
      const scores = new Float64Array(position + 1);
      for (let t = 0; t <= position; t++) {
        let dot = 0;
        for (let i = first; i < first + size; i++) dot += qkv[i] * block.keys[t * C + i];
        scores[t] = dot / Math.sqrt(size);
      }
      const shares = softmax(scores);
      for (let t = 0; t <= position; t++) {
        for (let i = first; i < first + size; i++) out[i] += shares[t] * block.values[t * C + i];
      }
    }
    return out;
  }
}

// ------------------------------------------------------------------------- scoring and sampling

/** log pi(completion | prompt), summed over tokens; the end token is one of them. */
export function logprobOf(model, prompt, completion) {
  const log = (token, i) => Math.log(model.after(prompt, completion.slice(0, i))[token]);
  return completion.reduce((sum, token, i) => sum + log(token, i), 0);
}

/**
 * k rollouts as a prefix tree: every prefix runs once, however many rollouts share it. A node is
 * {token, count, children}, the most frequent child first. Rollout i uses the same random numbers
 * whatever the model, so that what differs between models is the models.
 */
export function sampleTree(model, prompt, k, length, end, seed) {
  const numbers = Array.from({ length: k }, (_, i) => {
    const draw = uniform(seed, i);
    return Array.from({ length }, draw);
  });
  const grow = (rollouts, written) => {
    const drawn = new Map();
    const shares = model.after(prompt, written);
    for (const rollout of rollouts) {
      const token = pick(shares, numbers[rollout][written.length]);
      if (!drawn.has(token)) drawn.set(token, []);
      drawn.get(token).push(rollout);
    }
    const children = [...drawn].map(([token, ids]) => {
      const text = [...written, token];
      const over = token === end || text.length === length;
      return { token, count: ids.length, children: over ? [] : grow(ids, text) };
    });
    return children.sort((a, b) => b.count - a.count || a.token - b.token);
  };
  const everyone = Array.from({ length: k }, (_, i) => i);
  return { token: null, count: k, children: grow(everyone, []) };
}

function pick(shares, number) {
  let token = 0;
  for (let sum = shares[0]; sum <= number && token + 1 < shares.length; sum += shares[token])
    token++;
  return token;
}

// ------------------------------------------------------------------------------------- the parts

export function softmax(logits) {
  const top = Math.max(...logits);
  const e = Float64Array.from(logits, (x) => Math.exp(x - top));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((x) => x / sum);
}

function matvec(matrix, x) {
  const out = new Float64Array(matrix.length / x.length);
  for (let row = 0, at = 0; row < out.length; row++) {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += matrix[at++] * x[i];
    out[row] = sum;
  }
  return out;
}

function add(x, y) {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
}

function layerNorm(x, { gain, bias }) {
  const mean = x.reduce((a, b) => a + b, 0) / x.length;
  const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length;
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * gain[i] + bias[i]);
}

function gelu(x) {
  return 0.5 * x * (1 + erf(x / Math.SQRT2));
}

/** Abramowitz and Stegun 7.1.26, right to 1.5e-7. */
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const series = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const sum = series.reduce((total, a) => (total + a) * t, 0);
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
}

// --------------------------------------------------------------------------------------- weights

/** base64 of 16-bit numbers (IEEE 754 half precision, little-endian) -> Float32Array. */
export function decodeHalves(base64) {
  const text = atob(base64);
  const out = new Float32Array(text.length / 2);
  for (let i = 0; i < out.length; i++) {
    const bits = text.charCodeAt(2 * i) | (text.charCodeAt(2 * i + 1) << 8);
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    out[i] = bits & 0x8000 ? -size : size;
  }
  return out;
}
