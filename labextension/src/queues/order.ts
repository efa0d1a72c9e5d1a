// The order in which the queue serves jobs, as the server keeps it: higher priority first, services that give way last;
// within that, notebooks (or people) take turns, and each one's own jobs go first come, first served. Pure.

import type { JobView } from '../api/generated.js';

type Waiting = Pick<
  JobView,
  'id' | 'state' | 'priority' | 'gives_way' | 'notebook' | 'actor'
>;

function groupOf(job: Waiting): string {
  return job.notebook ?? job.actor;
}

/** The ids of the queued jobs, the one that is served next first. */
export function inLine(jobs: Iterable<Waiting>): string[] {
  const taken = new Map<string, number>();
  const waiting: Waiting[] = [];
  for (const job of jobs) {
    if (job.state === 'queued') {
      waiting.push(job);
    } else if (
      job.state === 'starting' ||
      job.state === 'running' ||
      job.state === 'stopping'
    ) {
      taken.set(groupOf(job), (taken.get(groupOf(job)) ?? 0) + 1);
    }
  }
  const classes = new Map<string, Waiting[]>();
  waiting.sort(
    (a, b) =>
      b.priority - a.priority ||
      Number(a.gives_way) - Number(b.gives_way) ||
      (a.id < b.id ? -1 : 1)
  );
  for (const job of waiting) {
    const key = `${job.priority} ${String(job.gives_way)}`;
    classes.set(key, [...(classes.get(key) ?? []), job]);
  }
  return [...classes.values()].flatMap(jobs => turns(jobs, taken));
}

/** Of each group the oldest, the group with the fewest jobs first. */
function turns(jobs: readonly Waiting[], taken: Map<string, number>): string[] {
  const lines = new Map<string, Waiting[]>();
  for (const job of jobs) {
    lines.set(groupOf(job), [...(lines.get(groupOf(job)) ?? []), job]);
  }
  const order: string[] = [];
  while (order.length < jobs.length) {
    const [group, line] = [...lines].reduce((best, other) => {
      const fewer =
        (taken.get(other[0]) ?? 0) - (taken.get(best[0]) ?? 0) ||
        (other[1][0].id < best[1][0].id ? -1 : 1);
      return fewer < 0 ? other : best;
    });
    const next = line.shift();
    if (next === undefined) {
      break;
    }
    order.push(next.id);
    taken.set(group, (taken.get(group) ?? 0) + 1);
    if (line.length === 0) {
      lines.delete(group);
    }
  }
  return order;
}
