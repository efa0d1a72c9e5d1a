// What there is and who holds it, in words and parts of a bar. Memory is in MiB. The bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { GpuHolder, GpuView, LeasesView } from '../api/generated.js';
import { formatCount } from '../sections/words.js';

/** A part of a whole as a percentage in 0..100. */
export function share(part: number, total: number): number {
  return total > 0 ? Math.min(100, Math.max(0, (100 * part) / total)) : 0;
}

/** Memory leased of a GPU: what its holders asked for. */
export function leasedOf(gpu: Pick<GpuView, 'holders'>): number {
  return gpu.holders.reduce((sum, holder) => sum + (holder.leased ?? 0), 0);
}

/** Memory of all GPUs together; null where there is none. */
export function gpuMemory(
  view: Pick<LeasesView, 'gpus'>
): { used: number; total: number } | null {
  if (view.gpus.length === 0) {
    return null;
  }
  return view.gpus.reduce(
    (sum, gpu) => ({
      used: sum.used + gpu.used,
      total: sum.total + gpu.total
    }),
    { used: 0, total: 0 }
  );
}

/** Numbers of processors, which may be parts of one. */
export function formatCpus(count: number): string {
  return count.toLocaleString(undefined, { maximumFractionDigits: 2 });
}

/** What a person calls a holder: of a notebook its file's name. */
export function holderName(
  holder: Pick<GpuHolder, 'kind' | 'name' | 'notebook' | 'kernel'>,
  trans: TranslationBundle
): string {
  const { kind, name, notebook, kernel } = holder;
  if (kind !== 'kernel') {
    return name;
  }
  const file = notebook?.split('/').pop() ?? '';
  return file || trans.__('Kernel %1', (kernel ?? '?').slice(0, 8));
}

/** What tells it from others of its name; empty where its name does. */
export function whoText(
  holder: Pick<GpuHolder, 'kind' | 'pid' | 'account'>,
  trans: TranslationBundle
): string {
  const { kind, pid, account } = holder;
  // Jobs and kernels seen here are of the account that serves this page; the name of any other process has its number.
  if (kind === 'process') {
    return account === null ? '' : trans.__('by %1', account);
  }
  return pid === null ? '' : trans.__('process %1', pid);
}

export function kindWord(
  holder: Pick<GpuHolder, 'kind' | 'dirty'>,
  trans: TranslationBundle
): string {
  if (holder.dirty) {
    return trans.__('Left over');
  }
  switch (holder.kind) {
    case 'job':
      return trans.__('Job');
    case 'endpoint':
      return trans.__('Endpoint');
    case 'kernel':
      return trans.__('Notebook');
    default:
      return trans.__('Other process');
  }
}

/** What a holder asked for, beside what it uses and has used at most. */
export function holdingText(
  holder: GpuHolder,
  trans: TranslationBundle
): string {
  const { leased, whole, used, peak, pid } = holder;
  const parts = [];
  if (leased !== null) {
    parts.push(
      whole
        ? trans.__('asked for the whole GPU')
        : trans.__('asked for %1 MiB', formatCount(leased))
    );
  }
  if (used > 0) {
    parts.push(trans.__('uses %1 MiB', formatCount(used)));
  } else if (pid === null || leased !== null) {
    parts.push(trans.__('uses none yet'));
  } else {
    parts.push(trans.__('uses some, the driver does not say how much'));
  }
  if (peak > 0) {
    parts.push(trans.__('at most %1 so far', formatCount(peak)));
  }
  const text = parts.join(', ');
  return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}

/** What is wrong with how a holder holds; empty where nothing is. */
export function troubleText(
  holder: GpuHolder,
  trans: TranslationBundle
): string {
  const { dirty, leased, whole, peak, pid } = holder;
  if (dirty) {
    return pid === null
      ? trans.__('Its job has ended, but the memory is still held.')
      : trans.__(
          'Its job has ended, but process %1 still holds the memory.',
          pid
        );
  }
  return leased !== null && !whole && peak > leased
    ? trans.__('It used more than it asked for.')
    : '';
}
