// How much of a limit is used: shares, levels and words. Pure; the bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { BudgetLine } from '../api/generated.js';
import { formatMoment } from '../sections/words.js';
import { formatMoney } from './money.js';

/** A limit, what of it is spent, and what is held for requests under way; in pico-dollars. */
export interface Use {
  readonly limit: bigint;
  readonly spent: bigint;
  readonly held: bigint;
}

export type Level = 'room' | 'near' | 'full';

/** From here on a reader is warned. */
const NEAR_PERCENT = 80n;
/** Shares are told this fine. */
const FINE = 10_000n;

export function readUse(
  line: Pick<BudgetLine, 'limit_pico' | 'spent_pico' | 'reserved_pico'>
): Use {
  return {
    limit: BigInt(line.limit_pico),
    spent: BigInt(line.spent_pico),
    held: BigInt(line.reserved_pico)
  };
}

/** What is held may come back, so a limit is full only where all of it is spent or held now. */
export function levelOf({ limit, spent, held }: Use): Level {
  const used = spent + held;
  return used >= limit
    ? 'full'
    : used * 100n >= limit * NEAR_PERCENT
      ? 'near'
      : 'room';
}

/** Of the limit, in [0, 1]; of no limit at all, everything. */
export function shareOf(part: bigint, limit: bigint): number {
  return limit <= 0n || part >= limit
    ? 1
    : Number((part * FINE) / limit) / Number(FINE);
}

export function leftOf({ limit, spent, held }: Use): bigint {
  const left = limit - spent - held;
  return left > 0n ? left : 0n;
}

/** Whole percents, rounded down: what is not full is never told as 100%. */
export function percentText(use: Use): string {
  return `${Math.floor(100 * shareOf(use.spent + use.held, use.limit))}%`;
}

export function levelWord(use: Use, trans: TranslationBundle): string {
  switch (levelOf(use)) {
    case 'full':
      return trans.__('full');
    case 'near':
      return trans.__('%1 used', percentText(use));
    case 'room':
      return '';
  }
}

export function usedTexts(use: Use, trans: TranslationBundle): string[] {
  return [
    trans.__('%1 of %2 spent', formatMoney(use.spent), formatMoney(use.limit)),
    use.held > 0n ? trans.__('%1 held', formatMoney(use.held)) : '',
    trans.__('%1 left', formatMoney(leftOf(use)))
  ].filter(Boolean);
}

/** A budget's period that runs now. */
export function periodWord(period: string, trans: TranslationBundle): string {
  switch (period) {
    case 'day':
      return trans.__('today');
    case 'week':
      return trans.__('this week');
    case 'month':
      return trans.__('this month');
    case 'total':
      return trans.__('in all');
    default:
      return period;
  }
}

/** What a budget counts. */
export function scopeText(
  line: Pick<BudgetLine, 'kind' | 'subject'>,
  trans: TranslationBundle
): string {
  switch (line.kind) {
    case '':
      return trans.__('all requests');
    case 'model':
      return trans.__('requests to %1', line.subject);
    case 'key':
      return trans.__('requests with the key %1', line.subject);
    case 'notebook':
      return trans.__('requests of the notebook %1', line.subject);
    case 'project':
      return trans.__('requests of the project %1', line.subject);
    default:
      return `${line.kind} ${line.subject}`;
  }
}

/** When it begins anew; empty where it never does. */
export function anewText(
  line: Pick<BudgetLine, 'ends_at'>,
  now: number,
  trans: TranslationBundle
): string {
  const at = line.ends_at;
  return at === null
    ? ''
    : trans.__('begins anew %1', formatMoment(at, now) ?? at);
}
