// What somebody types to find runs, as the condition the server takes. Pure.

/** Plain words: no operator, bracket, quote or dot makes a condition of them. */
const WORDS = /^[\p{L}\p{N}_ -]+$/u;
/** But for a field that is true or not. */
const TRUTH = /^(not )?out_of_order$/;

/** Entries remembered. */
const MOST = 12;

/** A condition as it is; plain words are looked for in names. */
export function toCondition(text: string): string {
  const words = text.trim();
  return words !== '' && WORDS.test(words) && !TRUTH.test(words)
    ? `'${words}' in name`
    : words;
}

/** The history with what was asked last in front. */
export function remember(history: readonly string[], text: string): string[] {
  return text === ''
    ? [...history]
    : [text, ...history.filter(entry => entry !== text)].slice(0, MOST);
}

/** The list as it is now; what reads as before is the object it was. */
export function keepSame<T extends { readonly id: string }>(
  before: readonly T[],
  after: readonly T[]
): T[] {
  const known = new Map(before.map(item => [item.id, item]));
  return after.map(item => {
    const old = known.get(item.id);
    return old !== undefined && JSON.stringify(old) === JSON.stringify(item)
      ? old
      : item;
  });
}
