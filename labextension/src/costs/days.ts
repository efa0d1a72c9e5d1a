// Costs by day laid out as columns of two parts, with what is expected of the days to come and budgets as lines. Pure.

import type { BudgetLine, Costs } from '../api/generated.js';

const DOLLAR = 1e12;
const DAY_MS = 86_400_000;
/** A budget so many times above the tallest column would flatten all of them. */
const FAR = 3;
/** Air above the tallest column. */
const ROOM = 1.08;

export interface Column {
  /** As `2026-11-22`. */
  readonly day: string;
  /** In dollars, as all heights are: for drawing, not for adding up. */
  readonly requests: number;
  readonly jobs: number;
  /** Whether it is of a day to come. */
  readonly expected: boolean;
}

export interface Across {
  readonly name: string;
  readonly budget: BudgetLine;
  readonly value: number;
}

export interface Layout {
  readonly columns: readonly Column[];
  readonly lines: readonly Across[];
  /** What the axis reaches to. */
  readonly top: number;
}

export function layOut(
  costs: Pick<Costs, 'spent' | 'forecast' | 'budgets'>
): Layout {
  const spent = costs.spent ?? [];
  const columns: Column[] = spent.map(({ day, requests_pico, jobs_pico }) => ({
    day,
    requests: dollars(requests_pico),
    jobs: dollars(jobs_pico),
    expected: false
  }));
  const last = spent.at(-1);
  const { forecast } = costs;
  if (forecast && last) {
    const end = Date.parse(forecast.until);
    for (let at = Date.parse(last.day) + DAY_MS; at <= end; at += DAY_MS) {
      columns.push({
        day: new Date(at).toISOString().slice(0, 10),
        requests: dollars(forecast.daily_pico),
        jobs: 0,
        expected: true
      });
    }
  }
  const tallest = columns.reduce(
    (most, { requests, jobs }) => Math.max(most, requests + jobs),
    0
  );
  const lines = (costs.budgets ?? []).flatMap(budget =>
    budget.daily_pico === null || budget.scope !== ''
      ? []
      : [{ name: budget.name, budget, value: dollars(budget.daily_pico) }]
  );
  const near = lines.filter(({ value }) => value <= tallest * FAR);
  const top = near.reduce((most, { value }) => Math.max(most, value), tallest);
  return { columns, lines: near, top: top > 0 ? top * ROOM : 1 };
}

/** Where words stand that would be at these heights, each at least so far above the one below it. */
export function apart(heights: readonly number[], least: number): number[] {
  const found = [...heights];
  const upwards = heights.map((_, index) => index);
  upwards.sort((a, b) => heights[b] - heights[a]);
  upwards.slice(1).forEach((index, place) => {
    found[index] = Math.min(found[index], found[upwards[place]] - least);
  });
  return found;
}

function dollars(pico: string): number {
  return Number(BigInt(pico)) / DOLLAR;
}
