// What the status bar says of the machine and its jobs. Pure; the bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { JobView, LeasesView } from '../api/generated.js';
import { formatCpus, gpuMemory, share } from '../machine/words.js';
import { formatCount } from '../sections/words.js';

export interface Counts {
  readonly running: number;
  readonly queued: number;
  /** Processors leased to what runs. */
  readonly cpus: number;
}

export function count(jobs: Iterable<JobView>): Counts {
  let [running, queued, cpus] = [0, 0, 0];
  for (const job of jobs) {
    if (job.state === 'queued') {
      queued += 1;
    } else if (
      job.state === 'starting' ||
      job.state === 'running' ||
      job.state === 'stopping'
    ) {
      running += 1;
      cpus += job.cpus;
    }
  }
  return { running, queued, cpus };
}

/** `GPU 43%`, `CPU 1/2`, `2 running`, `3 queued`; parts of which there is nothing to say are left out. */
export function parts(
  machine: LeasesView | null,
  counts: Counts,
  trans: TranslationBundle
): string[] {
  const { running, queued, cpus } = counts;
  const found: string[] = [];
  const memory = machine === null ? null : gpuMemory(machine);
  if (memory !== null) {
    const percent = Math.round(share(memory.used, memory.total));
    found.push(trans.__('GPU %1%', percent));
  }
  if (machine !== null) {
    const total = formatCpus(machine.cpus.total);
    found.push(trans.__('CPU %1/%2', formatCpus(cpus), total));
  }
  if (running > 0) {
    found.push(trans.__('%1 running', formatCount(running)));
  }
  if (queued > 0) {
    found.push(trans.__('%1 queued', formatCount(queued)));
  }
  return found;
}

/** The same, and more, in lines. */
export function details(
  machine: LeasesView | null,
  counts: Counts,
  trans: TranslationBundle
): string[] {
  const lines: string[] = [];
  for (const gpu of machine?.gpus ?? []) {
    lines.push(
      trans.__(
        'GPU %1: %2 of %3 MiB used, %4 free',
        gpu.number,
        formatCount(gpu.used),
        formatCount(gpu.total),
        formatCount(gpu.free)
      )
    );
  }
  if (machine !== null) {
    const { cpus, memory } = machine;
    lines.push(
      trans.__(
        'CPUs: %1 of %2 leased',
        formatCpus(counts.cpus),
        formatCpus(cpus.total)
      )
    );
    if (memory.used !== null) {
      lines.push(
        trans.__(
          'Memory: %1 of %2 MiB used',
          formatCount(memory.used),
          formatCount(memory.total)
        )
      );
    }
  }
  lines.push(
    trans.__(
      'Jobs: %1 running, %2 queued',
      formatCount(counts.running),
      formatCount(counts.queued)
    )
  );
  return lines;
}

/** How full the meter is, in 0..100: the GPUs' memory, or the processors where there is no GPU. */
export function fill(machine: LeasesView | null, counts: Counts): number {
  if (machine === null) {
    return 0;
  }
  const memory = gpuMemory(machine);
  return memory === null
    ? share(counts.cpus, machine.cpus.total)
    : share(memory.used, memory.total);
}
