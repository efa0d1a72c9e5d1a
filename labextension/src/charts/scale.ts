// From values to pixels: spans, ticks, numbers in few digits, paths. Pure.

/** From the least to the greatest. */
export type Span = readonly [number, number];

/** What the numbers reach from and to; null where there is none. */
export function spanOf(
  ...lists: readonly (readonly (number | null)[])[]
): Span | null {
  let low = Infinity;
  let high = -Infinity;
  for (const list of lists) {
    for (const value of list) {
      if (value !== null && Number.isFinite(value)) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
  }
  return low <= high ? [low, high] : null;
}

/** A span that has a length, with a little room at both ends. */
export function roomy([low, high]: Span, share = 0.04): Span {
  const length = high - low;
  const room =
    length > 0 ? length * share : Math.max(Math.abs(high) * 0.1, 1e-9);
  return [low - room, high + room];
}

/** Where a value of `from` lies in `to`. */
export function place(value: number, from: Span, to: Span): number {
  const length = from[1] - from[0];
  const share = length === 0 ? 0.5 : (value - from[0]) / length;
  return to[0] + share * (to[1] - to[0]);
}

/** Round values inside of a span, about as many as wanted; whole ones where `whole`. */
export function ticks(
  [low, high]: Span,
  about: number,
  whole = false
): number[] {
  const length = high - low;
  if (!(length > 0) || !Number.isFinite(length)) {
    return Number.isFinite(low) ? [low] : [];
  }
  const raw = length / Math.max(1, about);
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 5, 10].find(each => each * power >= raw) ?? 10;
  const step = whole ? Math.max(1, factor * power) : factor * power;
  const found: number[] = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) {
    // 0.30000000000000004 is nobody's tick.
    found.push(Number((n * step).toPrecision(12)));
  }
  return found;
}

/** A number in so many digits that count: `0.9312`, `1.5e-7`, `1,234,567`. */
export function formatNumber(value: number | null, digits = 4): string {
  if (value === null || Number.isNaN(value)) {
    return '–';
  }
  if (!Number.isFinite(value)) {
    return value > 0 ? '∞' : '−∞';
  }
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e9) {
    return value.toLocaleString();
  }
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) {
    const [head, tail] = value.toExponential(digits - 1).split('e');
    return `${Number(head)}e${Number(tail)}`;
  }
  return Number(value.toPrecision(digits)).toLocaleString(undefined, {
    maximumFractionDigits: 12
  });
}

const near = (value: number): string => value.toFixed(1);

/** A line through points; it is broken where there is no number. */
export function linePath(
  xs: readonly number[],
  ys: readonly (number | null)[]
): string {
  let path = '';
  let open = false;
  xs.forEach((x, index) => {
    const y = ys[index];
    if (y === null || !Number.isFinite(y)) {
      open = false;
      return;
    }
    path += `${open ? 'L' : 'M'}${near(x)} ${near(y)}`;
    // A point by itself has no length: a round cap makes it a dot.
    const next = ys.at(index + 1) ?? null;
    if (!open && (next === null || index + 1 === ys.length)) {
      path += 'h0';
    }
    open = true;
  });
  return path;
}

/** The area between two lines, in pieces where either is broken. */
export function bandPath(
  xs: readonly number[],
  lows: readonly (number | null)[],
  highs: readonly (number | null)[]
): string {
  let path = '';
  let piece: number[] = [];
  const close = (): void => {
    if (piece.length > 1) {
      const up = piece.map(i => `${near(xs[i])} ${near(highs[i] ?? 0)}`);
      const back = [...piece].reverse();
      const down = back.map(i => `${near(xs[i])} ${near(lows[i] ?? 0)}`);
      path += `M${[...up, ...down].join('L')}Z`;
    }
    piece = [];
  };
  xs.forEach((_, index) => {
    if (Number.isFinite(lows[index]) && Number.isFinite(highs[index])) {
      piece.push(index);
    } else {
      close();
    }
  });
  close();
  return path;
}

/** The index of the entry nearest to a value, in a list that ascends; -1 where it is empty. */
export function nearest(list: readonly number[], value: number): number {
  let low = 0;
  let high = list.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const before = low - 1;
  return before >= 0 && value - list[before] <= list[low] - value
    ? before
    : low < list.length
      ? low
      : -1;
}
