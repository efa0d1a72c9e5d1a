// Requests added up: the whole, and each group's part of it. Pure.

import type { CostParams, CostRow } from '../api/generated.js';

export type By = NonNullable<CostParams['by']>;

/** What the sidebar has room for. */
export const GROUPS: readonly By[] = ['model', 'notebook', 'key', 'day'];

/** What the page adds up by, beside its chart of days. */
export const PAGE_GROUPS: readonly By[] = [
  'model',
  'deployment',
  'key',
  'notebook',
  'cell',
  'project',
  'day'
];

export function isBy(value: unknown): value is By {
  return GROUPS.includes(value as By);
}

export function isPageBy(value: unknown): value is By {
  return PAGE_GROUPS.includes(value as By);
}

/** All tokens read, whatever they cost. */
export function readTokens(row: CostRow): number {
  return row.input_tokens + row.cached_tokens + row.cache_write_tokens;
}

/** All tokens written, shown or not. */
export function writtenTokens(row: CostRow): number {
  return row.output_tokens + row.reasoning_tokens;
}

/** The part of the tokens read that a prefix cache had; null where none were read. */
export function cachedShare(rows: readonly CostRow[]): number | null {
  const read = rows.reduce((sum, row) => sum + readTokens(row), 0);
  const cached = rows.reduce((sum, row) => sum + row.cached_tokens, 0);
  return read === 0 ? null : cached / read;
}

export interface Total {
  readonly pico: bigint;
  readonly requests: number;
  readonly failed: number;
  /** Answered from the gateway's cache. */
  readonly hits: number;
  /** Requests without a known cost. */
  readonly unknown: number;
}

export function total(rows: readonly CostRow[]): Total {
  return rows.reduce<Total>(
    (sum, row) => ({
      pico: sum.pico + BigInt(row.cost_pico),
      requests: sum.requests + row.requests,
      failed: sum.failed + row.failed,
      hits: sum.hits + row.hits,
      unknown: sum.unknown + row.unknown
    }),
    { pico: 0n, requests: 0, failed: 0, hits: 0, unknown: 0 }
  );
}

/** Bars are as long as what a group cost or, where no cost is known, as the requests it made. */
export type Measure = 'cost' | 'requests';

export function measure(rows: readonly CostRow[]): Measure {
  return rows.some(row => BigInt(row.cost_pico) > 0n) ? 'cost' : 'requests';
}

export interface Bar {
  readonly row: CostRow;
  /** Length beside the longest one, in [0, 1]. */
  readonly length: number;
}

/** Longest first; days from the latest back. */
export function bars(rows: readonly CostRow[], by: string): Bar[] {
  const amount = (row: CostRow): bigint =>
    measure(rows) === 'cost' ? BigInt(row.cost_pico) : BigInt(row.requests);
  const most = rows.reduce((top, row) => {
    const here = amount(row);
    return here > top ? here : top;
  }, 0n);
  const made = rows.map(row => ({
    row,
    length: most === 0n ? 0 : Number((amount(row) * 1000n) / most) / 1000
  }));
  return by === 'day'
    ? made.sort((a, b) => (a.row.group < b.row.group ? 1 : -1))
    : made;
}
