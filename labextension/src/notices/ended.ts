// Which jobs have ended that were seen alive, and what is said of them. Pure; the bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { JobView } from '../api/generated.js';
import { isLive } from '../jobs/reconcile.js';
import { elapsed } from '../jobs/format.js';
import { formatCount, formatDuration, stateWord } from '../sections/words.js';

/** What has ended longer ago is no news to somebody who comes back. */
const NEWS_MS = 24 * 60 * 60_000;
const SECOND_MS = 1_000;
/** JupyterLab cuts a message after 140 characters: the names have to leave room for what became of them. */
const NAME_LENGTH = 60;

/** Steps of a pipeline are the pipeline's business. */
function isOwn(job: JobView): boolean {
  return job.parent === null;
}

/** The ids of the jobs whose end will be worth telling. */
export function alive(jobs: ReadonlyMap<string, JobView>): string[] {
  return [...jobs.values()]
    .filter(job => isOwn(job) && isLive(job))
    .map(({ id }) => id);
}

/** Of the jobs seen alive those that have ended, in the order of their ends. */
export function endedOf(
  seen: Iterable<string>,
  jobs: ReadonlyMap<string, JobView>
): JobView[] {
  const found = [...seen]
    .map(id => jobs.get(id))
    .filter(job => job !== undefined)
    .filter(job => !isLive(job));
  return found.sort((a, b) =>
    (a.ended_at ?? '') < (b.ended_at ?? '') ? -1 : 1
  );
}

/**
 * Whether somebody wants to hear of an end: not of what was asked for here,
 * of a service that was stopped, or of what ended long ago.
 */
export function isNews(
  job: JobView,
  cancelled: ReadonlySet<string>,
  now: number
): boolean {
  const at = Date.parse(job.ended_at ?? '');
  const old = now - at > NEWS_MS;
  const asked = job.state === 'cancelled' && job.error === null;
  return !old && !(asked && (cancelled.has(job.id) || job.service));
}

export type Tone = 'success' | 'warning' | 'error' | 'info';

export interface Notice {
  readonly tone: Tone;
  readonly message: string;
  /** The one job it is about; null where there are several. */
  readonly job: JobView | null;
}

/** One notice for all that ended together. */
export function notice(
  jobs: readonly JobView[],
  trans: TranslationBundle
): Notice {
  if (jobs.length === 1) {
    const [job] = jobs;
    return { tone: toneOf(job), message: sentence(job, trans), job };
  }
  const tones = jobs.map(toneOf);
  const tone = (['error', 'warning', 'info'] as const).find(tone =>
    tones.includes(tone)
  );
  const parts = (['succeeded', 'failed', 'lost', 'cancelled'] as const)
    .map(state => [state, jobs.filter(job => job.state === state)] as const)
    .filter(([, those]) => those.length > 0)
    .map(([state, { length }]) => {
      const word = stateWord(state, trans).toLocaleLowerCase();
      return trans.__('%1 %2', formatCount(length), word);
    });
  const message = trans.__(
    '%1 jobs have ended: %2.',
    formatCount(jobs.length),
    parts.join(', ')
  );
  return { tone: tone ?? 'success', message, job: null };
}

function toneOf(job: JobView): Tone {
  switch (job.state) {
    case 'succeeded':
      return 'success';
    case 'cancelled':
      return job.error === null ? 'info' : 'warning';
    default:
      return 'error';
  }
}

function sentence(job: JobView, trans: TranslationBundle): string {
  const name =
    job.name.length > NAME_LENGTH
      ? `${job.name.slice(0, NAME_LENGTH - 1)}…`
      : job.name;
  const ms = job.started_at === null ? 0 : (elapsed(job, 0) ?? 0);
  const why = job.error === null ? '' : ` ${job.error.message}`;
  switch (job.state) {
    case 'succeeded':
      return ms < SECOND_MS
        ? trans.__('%1 succeeded.', name)
        : trans.__('%1 succeeded after %2.', name, formatDuration(ms, trans));
    case 'cancelled':
      return trans.__('%1 was cancelled.', name) + why;
    case 'lost':
      return trans.__('%1 was lost: nobody saw how it ended.', name);
    default:
      return trans.__('%1 failed.', name) + why;
  }
}
