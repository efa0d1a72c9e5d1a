// The order jobs are shown in: what runs, newest first; what waits, in the
// order of the queue; what has ended, newest first. Steps stand under the job
// that submitted them, in the order they were submitted.

import type { JobView } from '../api/generated.js';
import { inLine } from '../queues/order.js';
import { isLive } from './reconcile.js';

export interface Branch {
  readonly job: JobView;
  readonly steps: readonly Branch[];
  /** Whether the job or any step below it is live. */
  readonly live: boolean;
}

/** Whether it stands in the queue itself, rather than one of its steps. */
export function isWaiting(branch: Branch): boolean {
  return branch.job.state === 'queued';
}

export type Filter = 'all' | 'live' | 'ended';

export function isFilter(value: unknown): value is Filter {
  return value === 'all' || value === 'live' || value === 'ended';
}

/** Ids are ULIDs, so their order is the order of submission. */
function byId(a: JobView, b: JobView): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

export function grow(jobs: ReadonlyMap<string, JobView>): Branch[] {
  const ordered = [...jobs.values()].sort(byId);
  const steps = new Map<string, JobView[]>();
  const roots: JobView[] = [];
  for (const job of ordered) {
    // A parent is submitted before its steps; anything else would be a loop.
    if (job.parent !== null && jobs.has(job.parent) && job.parent < job.id) {
      const siblings = steps.get(job.parent) ?? [];
      siblings.push(job);
      steps.set(job.parent, siblings);
    } else {
      roots.push(job);
    }
  }
  const branch = (job: JobView): Branch => {
    const below = (steps.get(job.id) ?? []).map(branch);
    return { job, steps: below, live: isLive(job) || below.some(b => b.live) };
  };
  const branches = roots.reverse().map(branch);
  const line = inLine(ordered);
  const place = new Map(line.map((id, index) => [id, index]));
  const waiting = branches.filter(isWaiting);
  waiting.sort(
    (a, b) => (place.get(a.job.id) ?? 0) - (place.get(b.job.id) ?? 0)
  );
  return [
    ...branches.filter(b => b.live && !isWaiting(b)),
    ...waiting,
    ...branches.filter(b => !b.live)
  ];
}

/** Whole branches only: a live pipeline keeps the steps it has finished. */
export function choose(branches: readonly Branch[], filter: Filter): Branch[] {
  return branches.filter(
    b => filter === 'all' || b.live === (filter === 'live')
  );
}
