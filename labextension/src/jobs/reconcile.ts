// How the jobs known here follow the server's events. Pure: no clock, no I/O.

import type { JobList, JobView } from '../api/generated.js';

/** As many jobs as are asked for, kept and drawn. */
export const LIMIT = 200;

/** An event of schema `jobs/v1`. */
export interface JobsEvent {
  readonly revision: number;
  /** The revision of the event before this one. */
  readonly since: number;
  readonly jobs: readonly JobView[];
}

export interface Snapshot {
  readonly jobs: ReadonlyMap<string, JobView>;
  readonly total: number;
  readonly note: string | null;
  readonly revision: number;
  /** The revision of the last event heard, or null before the first. */
  readonly heard: number | null;
}

export const NOTHING: Snapshot = {
  jobs: new Map(),
  total: 0,
  note: null,
  revision: -1,
  heard: null
};

const LIVE: ReadonlySet<JobView['state']> = new Set([
  'queued',
  'starting',
  'running',
  'stopping'
] as const);

export function isLive(job: Pick<JobView, 'state'>): boolean {
  return LIVE.has(job.state);
}

/** The payload of an event, or null where it is not one of ours. */
export function parseEvent(payload: unknown): JobsEvent | null {
  const { revision, since, jobs } = (payload ?? {}) as Partial<JobsEvent>;
  return typeof revision === 'number' &&
    typeof since === 'number' &&
    Array.isArray(jobs)
    ? { revision, since, jobs: jobs as JobView[] }
    : null;
}

/**
 * Follow one event.
 *
 * The chain of events is whole when each starts where the one before it ended.
 * A list may have been read in between: an event then overlaps it, and is merged
 * (its views are no older), or lies wholly before it, and changes nothing.
 * `missed` asks for a fresh list: an event is lacking, or the server began anew.
 */
export function follow(
  before: Snapshot,
  event: JobsEvent
): { snapshot: Snapshot; missed: boolean } {
  const broken = before.heard !== null && event.since !== before.heard;
  const missed = broken || event.since > before.revision;
  const heard = event.revision;
  if (!missed && event.revision < before.revision) {
    return { snapshot: { ...before, heard }, missed };
  }
  const merged = merge(before, event.jobs);
  return { snapshot: { ...merged, revision: event.revision, heard }, missed };
}

/**
 * Take a list as the truth, then replay what was heard while it was on its way.
 */
export function replace(
  before: Snapshot,
  list: JobList,
  meanwhile: readonly JobsEvent[]
): Snapshot {
  let after: Snapshot = {
    jobs: new Map(list.jobs.map(job => [job.id, job])),
    total: list.total,
    note: list.note,
    revision: list.revision,
    heard: before.heard
  };
  for (const event of meanwhile) {
    if (event.revision > after.revision) {
      after = { ...merge(after, event.jobs), revision: event.revision };
    }
  }
  return after;
}

/** Put newer views over the ones known; the oldest ended jobs make room. */
export function merge(before: Snapshot, views: readonly JobView[]): Snapshot {
  if (views.length === 0) {
    return before;
  }
  const jobs = new Map(before.jobs);
  for (const view of views) {
    jobs.set(view.id, view);
  }
  const total = before.total + jobs.size - before.jobs.size;
  const ended = [...jobs.values()].filter(job => !isLive(job));
  const surplus = jobs.size - LIMIT;
  if (surplus > 0) {
    ended.sort((a, b) => (a.id < b.id ? -1 : 1));
    ended.slice(0, surplus).forEach(job => jobs.delete(job.id));
  }
  return { ...before, jobs, total };
}
