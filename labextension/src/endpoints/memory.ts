// What an endpoint's services hold, remembered while its page is open: the ledger keeps no such series. Pure.

import type { EndpointView } from '../api/generated.js';

/** Memory of all its services at one moment, in MiB; null where it is not known. */
export interface Held {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly memory: number | null;
  readonly gpu: number | null;
}

export function heldBy(view: Pick<EndpointView, 'targets' | 'until'>): Held {
  const services = view.targets.flatMap(target => target.services);
  return {
    at: Date.parse(view.until),
    memory: sum(services.map(service => service.memory)),
    gpu: sum(services.map(service => service.gpu_memory))
  };
}

/** The most its services ever held, each for itself; null where that is not known. */
export function peakOf(view: Pick<EndpointView, 'targets'>): number | null {
  const services = view.targets.flatMap(target => target.services);
  return sum(services.map(service => service.peak_memory));
}

/** Add what is held now, and forget what is older than `span` milliseconds. */
export function remember(
  before: readonly Held[],
  now: Held,
  span: number
): Held[] {
  const kept = before.filter(
    held => held.at < now.at && held.at >= now.at - span
  );
  return [...kept, now];
}

function sum(values: readonly (number | null)[]): number | null {
  const known = values.filter(value => value !== null);
  return known.length === 0
    ? null
    : known.reduce((total, value) => total + value, 0);
}
