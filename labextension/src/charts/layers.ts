// A graph laid out in columns, each arrow going to the right. Pure.

export interface Arrow {
  readonly source: string;
  readonly target: string;
}

/**
 * Columns of ids: each stands right of all that lead to it, as near to what it leads to as it can.
 * Arrows in a circle are left out.
 */
export function columnsOf(
  ids: readonly string[],
  arrows: readonly Arrow[]
): string[][] {
  const known = new Set(ids);
  const sound = arrows.filter(
    ({ source, target }) =>
      known.has(source) && known.has(target) && source !== target
  );
  const depth = new Map(ids.map(id => [id, 0]));
  // As many rounds as there are ids settle whatever has no circle.
  let rounds = ids.length;
  while (rounds > 0) {
    rounds -= 1;
    let moved = false;
    for (const { source, target } of sound) {
      const right = (depth.get(source) ?? 0) + 1;
      if ((depth.get(target) ?? 0) < right && right < ids.length) {
        depth.set(target, right);
        moved = true;
      }
    }
    if (!moved) {
      break;
    }
  }
  // What nothing leads to stands beside what it leads to.
  for (const id of ids) {
    if (sound.every(({ target }) => target !== id)) {
      const next = sound
        .filter(({ source }) => source === id)
        .map(({ target }) => depth.get(target) ?? 0);
      if (next.length > 0) {
        depth.set(id, Math.max(0, Math.min(...next) - 1));
      }
    }
  }
  const columns = new Map<number, string[]>();
  for (const id of ids) {
    const column = depth.get(id) ?? 0;
    columns.set(column, [...(columns.get(column) ?? []), id]);
  }
  const sorted = [...columns].sort(([a], [b]) => a - b);
  return order(
    sorted.map(([, column]) => column),
    sound
  );
}

/** Ids of a column in the order of what leads to them, so that few arrows cross. */
function order(columns: string[][], arrows: readonly Arrow[]): string[][] {
  const place = new Map<string, number>();
  const mark = (column: string[]): void =>
    column.forEach((id, index) => place.set(id, index / column.length));
  const middle = (id: string, back: boolean): number => {
    const near = arrows
      .filter(arrow => (back ? arrow.target : arrow.source) === id)
      .map(arrow => place.get(back ? arrow.source : arrow.target) ?? 0);
    return near.length === 0
      ? (place.get(id) ?? 0)
      : near.reduce((sum, at) => sum + at, 0) / near.length;
  };
  columns.forEach(mark);
  const sweep = (list: string[][], back: boolean): void => {
    for (const column of list) {
      column.sort((a, b) => middle(a, back) - middle(b, back));
      mark(column);
    }
  };
  sweep(columns.slice(1), true);
  sweep(columns.slice(0, -1).reverse(), false);
  return columns;
}
