// Jobs for tests.

import type { JobView } from '../api/generated.js';

export function sample(changes: Partial<JobView> & { id: string }): JobView {
  return {
    kind: 'automl',
    name: changes.id,
    state: 'running',
    progress: null,
    message: null,
    submitted_at: '2026-11-22T10:00:00Z',
    started_at: '2026-11-22T10:00:01Z',
    ended_at: null,
    exit_code: null,
    reason: null,
    error: null,
    parent: null,
    notebook: null,
    cell_id: null,
    containment: null,
    waiting_for: null,
    actor: 'ada',
    service: false,
    restarts: 0,
    ...changes
  };
}

export function byId(...jobs: JobView[]): Map<string, JobView> {
  return new Map(jobs.map(job => [job.id, job]));
}
