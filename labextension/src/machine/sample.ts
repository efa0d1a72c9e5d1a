// GPUs and holders for tests.

import type { GpuHolder, GpuView } from '../api/generated.js';

export function gpu(changes: Partial<GpuView> = {}): GpuView {
  return {
    uuid: 'GPU-0',
    number: 0,
    name: 'Sample 9000',
    total: 24_000,
    used: 0,
    free: 24_000,
    load: null,
    holders: [],
    ...changes
  };
}

export function holder(changes: Partial<GpuHolder> = {}): GpuHolder {
  return {
    name: 'train',
    kind: 'job',
    job: null,
    notebook: null,
    kernel: null,
    account: 'ada',
    pid: 100,
    leased: null,
    whole: false,
    used: 0,
    peak: 0,
    dirty: false,
    ...changes
  };
}
