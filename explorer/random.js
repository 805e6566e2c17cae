// Random numbers that a seed repeats on any machine.

/** A generator of uniform numbers in [0, 1): mulberry32, seeded through a hash of the words. */
export function uniform(...words) {
  let state = 2166136261;
  for (const character of words.join("/")) {
    state = Math.imul(state ^ character.charCodeAt(0), 16777619);
  }
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
