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
    queue: 'default',
    priority: 0,
    cpus: 1,
    memory: null,
    peak_memory: null,
    gpus: 0,
    gpu_memory: null,
    gpu_peak: null,
    after: [],
    retries: 0,
    attempt: 1,
    time_limit: null,
    gives_way: false,
    gave_way_to: null,
    ...changes
  };
}

export function byId(...jobs: JobView[]): Map<string, JobView> {
  return new Map(jobs.map(job => [job.id, job]));
}
