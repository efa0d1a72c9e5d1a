// States, times and counts in words. The bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { ShownState } from '../tokens.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export function stateWord(state: ShownState, trans: TranslationBundle): string {
  switch (state) {
    case 'queued':
      return trans.__('Queued');
    case 'starting':
      return trans.__('Starting');
    case 'running':
      return trans.__('Running');
    case 'stopping':
      return trans.__('Stopping');
    case 'succeeded':
      return trans.__('Succeeded');
    case 'failed':
      return trans.__('Failed');
    case 'cancelled':
      return trans.__('Cancelled');
    case 'lost':
      return trans.__('Lost');
    case 'stopped':
      return trans.__('Stopped');
  }
}

/** Two units at most: `4 s`, `2 min 5 s`, `1 h 4 min`, `3 d 4 h`. */
export function formatDuration(ms: number, trans: TranslationBundle): string {
  const whole = Math.max(0, ms);
  const units = (size: number, of = Infinity): number =>
    Math.floor((whole % of) / size);
  if (whole < MINUTE) {
    return trans.__('%1 s', units(SECOND));
  }
  if (whole < HOUR) {
    return trans.__('%1 min %2 s', units(MINUTE), units(SECOND, MINUTE));
  }
  if (whole < DAY) {
    return trans.__('%1 h %2 min', units(HOUR), units(MINUTE, HOUR));
  }
  return trans.__('%1 d %2 h', units(DAY), units(HOUR, DAY));
}

/** How long an answer took: `35 ms`, `1.2 s`, and longer ones as durations. */
export function formatLatency(ms: number, trans: TranslationBundle): string {
  if (ms < SECOND) {
    return trans.__('%1 ms', ms < 10 ? ms.toFixed(1) : ms.toFixed(0));
  }
  return ms < MINUTE
    ? trans.__('%1 s', (ms / SECOND).toFixed(1))
    : formatDuration(ms, trans);
}

/** Date and time in the reader's own zone. */
export function formatTime(iso: string | null): string | null {
  const time = iso === null ? NaN : Date.parse(iso);
  return Number.isNaN(time) ? null : new Date(time).toLocaleString();
}

/** The time alone where it is today's, else the date, too. Null where it cannot be read. */
export function formatMoment(iso: string, now: number): string | null {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) {
    return null;
  }
  const today = at.toDateString() === new Date(now).toDateString();
  return today ? at.toLocaleTimeString() : at.toLocaleString();
}

/** A whole number with the reader's separators. */
export function formatCount(count: number): string {
  return count.toLocaleString();
}

/** How often a service had to be started again; empty where never. */
export function restartsText(
  restarts: number,
  trans: TranslationBundle
): string {
  return restarts > 0
    ? trans.__('Started again %1×', formatCount(restarts))
    : '';
}
