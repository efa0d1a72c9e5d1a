// Whose memory it is, how it can be had back, and what that means for its owner. Pure.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { GpuHolder, JobView } from '../api/generated.js';
import { isLive } from '../jobs/reconcile.js';
import { formatCount } from '../sections/words.js';
import type { Way } from '../tokens.js';
import { holderName } from './words.js';

/** What is used of a session of this Jupyter server. */
export interface OwnSession {
  readonly id: string;
  readonly path: string;
  readonly type: string;
  readonly kernel: { readonly id: string } | null;
}

/** Names a holder of one GPU, from one look to the next. */
export function holderKey(
  holder: Pick<GpuHolder, 'job' | 'pid' | 'leased'>
): string {
  return holder.leased !== null && holder.job !== null
    ? `job:${holder.job}`
    : `process:${holder.pid ?? ''}`;
}

export function sessionOf(
  holder: Pick<GpuHolder, 'kernel'>,
  sessions: Iterable<OwnSession>
): OwnSession | null {
  if (holder.kernel === null) {
    return null;
  }
  for (const session of sessions) {
    if (session.kernel?.id === holder.kernel) {
      return session;
    }
  }
  return null;
}

export function wayToFree(
  holder: GpuHolder,
  jobs: ReadonlyMap<string, JobView>,
  sessions: Iterable<OwnSession>
): Way | null {
  const session = sessionOf(holder, sessions);
  if (session !== null) {
    return { by: 'session', session: session.id };
  }
  const job = holder.job === null ? undefined : jobs.get(holder.job);
  // A job that is too old to be listed here has a lease as long as it lives.
  const live = job === undefined ? holder.leased !== null : isLive(job);
  if (holder.job !== null && live && !holder.dirty) {
    return { by: 'job', job: holder.job };
  }
  return holder.pid === null ? null : { by: 'process', process: holder.pid };
}

export interface Warning {
  readonly title: string;
  readonly body: string;
  readonly keep: string;
  readonly go: string;
}

/** What a person is told before it happens. */
export function warning(
  holder: GpuHolder,
  way: Way,
  trans: TranslationBundle
): Warning {
  const { pid } = holder;
  const name = holderName(holder, trans);
  const title = trans.__('Free this GPU memory?');
  const held =
    holder.used > 0
      ? trans.__('%1 holds %2 MiB.', name, formatCount(holder.used))
      : trans.__('%1 is on this GPU.', name);
  const say = (what: string, keep: string, go: string): Warning => ({
    title,
    body: `${held} ${what}`,
    keep,
    go
  });
  if (way.by === 'job') {
    return holder.kind === 'endpoint'
      ? say(
          trans.__('The endpoint stops, and no longer answers.'),
          trans.__('Keep serving'),
          trans.__('Stop endpoint')
        )
      : say(
          trans.__('The job is cancelled; what it has not saved is lost.'),
          trans.__('Keep running'),
          trans.__('Cancel job')
        );
  }
  if (holder.kind === 'kernel') {
    const lost = trans.__('Its variables are lost; the notebook itself stays.');
    return way.by === 'session'
      ? say(
          `${trans.__('Its kernel is shut down.')} ${lost}`,
          trans.__('Keep kernel'),
          trans.__('Shut down kernel')
        )
      : say(
          `${trans.__('Its kernel (process %1), which another Jupyter server runs, is ended.', pid ?? '?')} ${lost}`,
          trans.__('Keep kernel'),
          trans.__('End kernel')
        );
  }
  const keep = trans.__('Keep running');
  const go = trans.__('End process');
  return holder.dirty
    ? say(
        trans.__(
          'Its job has ended; process %1, which the job left, is ended, too.',
          pid ?? '?'
        ),
        keep,
        go
      )
    : say(
        trans.__(
          'It is neither a job nor a notebook of this server. Process %1 is ended; what it has not saved is lost.',
          pid ?? '?'
        ),
        keep,
        go
      );
}
