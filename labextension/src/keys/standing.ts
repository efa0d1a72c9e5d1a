// What a key may, how much, and whether it still may, in words. Pure; the bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { KeyView } from '../api/generated.js';
import { formatMoney } from '../costs/money.js';
import { type Use, readUse } from '../costs/spent.js';
import { formatCount, formatMoment } from '../sections/words.js';

/** What a server may tell of a key besides; one that does not know of it leaves it out. */
export interface Bounds {
  readonly expires_at?: string | null;
  readonly models?: readonly string[] | null;
  readonly routes?: readonly string[] | null;
  readonly requests_per_minute?: number | null;
  readonly tokens_per_minute?: number | null;
  readonly concurrency?: number | null;
  /** What it may spend in all, in pico-dollars. */
  readonly limit_pico?: string | null;
  /** What of that it spent, and what is held for its requests under way. */
  readonly spent_pico?: string | null;
  readonly reserved_pico?: string | null;
  readonly project?: string | null;
  readonly replaces?: string | null;
  readonly last_used_at?: string | null;
}

export type Key = Omit<KeyView, keyof Bounds> & Bounds;

export type Standing = 'living' | 'expired' | 'revoked';

/** How a key is at an instant, in milliseconds since the epoch. */
export function standingOf(
  key: Pick<Key, 'revoked_at' | 'expires_at'>,
  now: number
): Standing {
  if (key.revoked_at !== null) {
    return 'revoked';
  }
  const expires = Date.parse(key.expires_at ?? '');
  return expires <= now ? 'expired' : 'living';
}

/** Those that still count first, the newest of them first. */
export function sorted<K extends Pick<Key, 'revoked_at' | 'expires_at'>>(
  keys: readonly K[],
  now: number
): K[] {
  const dead = (key: K): number => Number(standingOf(key, now) !== 'living');
  return [...keys].sort((a, b) => dead(a) - dead(b));
}

export function standingWord(
  standing: Standing,
  trans: TranslationBundle
): string {
  switch (standing) {
    case 'living':
      return trans.__('in use');
    case 'expired':
      return trans.__('expired');
    case 'revoked':
      return trans.__('revoked');
  }
}

/** Whether the server told of what it may ask and how much. */
export function bounded(key: Bounds): boolean {
  return key.models !== undefined || key.requests_per_minute !== undefined;
}

/** When it was used, when it ended or will, what it stands in for; what the server does not tell is left out. */
export function factsOf(
  key: Pick<Key, 'revoked_at'> & Bounds,
  now: number,
  trans: TranslationBundle
): string[] {
  const { revoked_at, expires_at, last_used_at, replaces } = key;
  const moment = (iso: string): string => formatMoment(iso, now) ?? iso;
  const expires =
    revoked_at === null && expires_at
      ? Date.parse(expires_at) <= now
        ? trans.__('expired %1', moment(expires_at))
        : trans.__('expires %1', moment(expires_at))
      : '';
  return [
    last_used_at === null
      ? trans.__('never used')
      : last_used_at === undefined
        ? ''
        : trans.__('last used %1', moment(last_used_at)),
    expires,
    revoked_at === null ? '' : trans.__('revoked %1', moment(revoked_at)),
    replaces ? trans.__('made in place of another') : ''
  ].filter(Boolean);
}

/** Which models and routes it may ask. */
export function scopesText(key: Bounds, trans: TranslationBundle): string {
  const { models, routes } = key;
  const parts = [
    models?.length ? trans.__('models %1', models.join(', ')) : '',
    routes?.length ? trans.__('routes %1', routes.join(', ')) : ''
  ].filter(Boolean);
  return parts.length > 0 ? parts.join('; ') : trans.__('all models');
}

/** How much it may; empty where nothing bounds it. */
export function limitsText(key: Bounds, trans: TranslationBundle): string {
  const { requests_per_minute, tokens_per_minute, concurrency, limit_pico } =
    key;
  return [
    many(requests_per_minute, count => trans.__('%1 requests/min', count)),
    many(tokens_per_minute, count => trans.__('%1 tokens/min', count)),
    many(concurrency, count => trans.__('%1 at once', count)),
    limit_pico === null || limit_pico === undefined
      ? ''
      : trans.__('%1 in all', formatMoney(BigInt(limit_pico)))
  ]
    .filter(Boolean)
    .join(', ');
}

/** How much of what it may spend is used; null where it may spend without a limit. */
export function limitOf(key: Bounds): Use | null {
  const { limit_pico, spent_pico, reserved_pico } = key;
  return limit_pico === null || limit_pico === undefined
    ? null
    : readUse({
        limit_pico,
        spent_pico: spent_pico ?? '0',
        reserved_pico: reserved_pico ?? '0'
      });
}

function many(
  value: number | null | undefined,
  words: (count: string) => string
): string {
  return value === null || value === undefined ? '' : words(formatCount(value));
}
