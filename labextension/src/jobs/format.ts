// Jobs in words. The bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { JobView } from '../api/generated.js';
import { isLive } from './reconcile.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

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

/**
 * Milliseconds a job has run, or has waited where it never started.
 * Null where the server's times cannot be read.
 */
export function elapsed(job: JobView, now: number): number | null {
  const from = Date.parse(job.started_at ?? job.submitted_at);
  const to = job.ended_at ? Date.parse(job.ended_at) : now;
  const ms = to - from;
  return Number.isNaN(ms) || (!isLive(job) && !job.ended_at) ? null : ms;
}

export function stateWord(
  state: JobView['state'],
  trans: TranslationBundle
): string {
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
  }
}

/** A whole percentage in 0..100, or null where the job has not said. */
export function percent(job: Pick<JobView, 'progress'>): number | null {
  if (job.progress === null || !Number.isFinite(job.progress)) {
    return null;
  }
  // Rounding down keeps 100 % for work that is done.
  return Math.floor(100 * Math.min(1, Math.max(0, job.progress)));
}

/** Date and time in the reader's own zone. */
export function formatTime(iso: string | null): string | null {
  const time = iso === null ? NaN : Date.parse(iso);
  return Number.isNaN(time) ? null : new Date(time).toLocaleString();
}

/** Sentences about jobs whose state changed, for those who listen. */
export function describeChanges(
  before: ReadonlyMap<string, JobView>,
  after: ReadonlyMap<string, JobView>,
  trans: TranslationBundle,
  most = 3
): string {
  const changed = [...after.values()].filter(
    job => before.has(job.id) && before.get(job.id)?.state !== job.state
  );
  return changed
    .slice(-most)
    .map(job => trans.__('%1: %2', job.name, stateWord(job.state, trans)))
    .join('. ');
}
