// Runs in words and few figures. The bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { RunView } from '../api/generated.js';
import { formatNumber } from '../charts/scale.js';
import { formatDuration } from '../sections/words.js';
import type { ShownState } from '../tokens.js';

/** Metrics of the machine, beside those of the work. */
export const SYSTEM = 'system/';
const FEW = 3;

/** What a row has room for: the first few figures that are not the machine's. */
export function keyFigures(
  metrics: Readonly<Record<string, number>>,
  most = FEW
): [string, string][] {
  return Object.keys(metrics)
    .filter(name => !name.startsWith(SYSTEM))
    .sort()
    .slice(0, most)
    .map(name => [name, formatNumber(metrics[name])]);
}

/** The end of an id: enough to tell runs of one name apart. */
export function shortId(id: string): string {
  return id.slice(-6);
}

/** How long it took, or has taken; empty where that is not known. */
export function tookText(
  run: Pick<RunView, 'started_at' | 'ended_at' | 'state'>,
  now: number,
  trans: TranslationBundle
): string {
  const to =
    run.ended_at === null
      ? isOpen(run.state)
        ? now
        : NaN
      : Date.parse(run.ended_at);
  const ms = to - Date.parse(run.started_at);
  return Number.isNaN(ms) ? '' : formatDuration(ms, trans);
}

export function isOpen(state: string): boolean {
  return ['queued', 'starting', 'running', 'stopping'].includes(state);
}

/** What a run's state looks like: as a job's. */
export function shownState(state: string): ShownState {
  const known: readonly string[] = [
    'queued',
    'starting',
    'running',
    'stopping',
    'succeeded',
    'failed',
    'cancelled',
    'stopped'
  ];
  return known.includes(state) ? (state as ShownState) : 'lost';
}

/** Bytes as people read them. */
export function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}
