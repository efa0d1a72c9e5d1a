// Jobs in words. The bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { JobView } from '../api/generated.js';
import { formatCount, stateWord } from '../sections/words.js';
import { isLive } from './reconcile.js';

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

/** A whole percentage in 0..100, or null where the job has not said. */
export function percent(job: Pick<JobView, 'progress'>): number | null {
  if (job.progress === null || !Number.isFinite(job.progress)) {
    return null;
  }
  // Rounding down keeps 100 % for work that is done.
  return Math.floor(100 * Math.min(1, Math.max(0, job.progress)));
}

/** The GPU memory a job has used, beside what it asked for; empty where it has used none. */
export function gpuText(
  job: Pick<JobView, 'gpu_peak' | 'gpu_memory'>,
  trans: TranslationBundle
): string {
  const { gpu_peak, gpu_memory } = job;
  if (gpu_peak === null) {
    return '';
  }
  const used = formatCount(gpu_peak);
  return gpu_memory === null
    ? trans.__('GPU memory: at most %1 MiB used', used)
    : trans.__(
        'GPU memory: at most %1 of %2 MiB used',
        used,
        formatCount(gpu_memory)
      );
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
