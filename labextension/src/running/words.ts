// A live job in a line. The bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { JobView } from '../api/generated.js';
import { percent } from '../jobs/format.js';
import { stateWord } from '../sections/words.js';

/** `40 %`, else the state: there is room for little more. */
export function detailOf(job: JobView, trans: TranslationBundle): string {
  const done = job.state === 'running' ? percent(job) : null;
  return done !== null && !job.service
    ? trans.__('%1 %', done)
    : stateWord(job.state, trans).toLocaleLowerCase();
}

/** The name, what it is, and what it waits for or comes from, in lines. */
export function titleOf(job: JobView, trans: TranslationBundle): string {
  const lines = [job.name, job.kind];
  if (job.state === 'queued' && job.waiting_for !== null) {
    lines.push(trans.__('Waiting for %1', job.waiting_for));
  }
  if (job.notebook !== null) {
    lines.push(job.notebook);
  }
  return lines.join('\n');
}
