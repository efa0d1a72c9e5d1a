// How the endpoints listed and the jobs behind them make one picture. Pure.

import type { Endpoint, EndpointList, JobView } from '../api/generated.js';
import { isLive } from '../jobs/reconcile.js';
import type { ShownState } from '../tokens.js';

/** Something that is served, or the gateway in front of it. */
export interface Service {
  readonly state: ShownState;
  /** What it does or why it does not; null while it runs. */
  readonly message: string | null;
  readonly restarts: number;
  /** Id of its job, if it has one. */
  readonly job: string | null;
}

export interface ShownEndpoint extends Service {
  readonly name: string;
  readonly model: string;
  readonly engine: string;
  /** Where callers reach it; null without a gateway. */
  readonly url: string | null;
}

export interface Picture {
  readonly endpoints: readonly ShownEndpoint[];
  readonly gateway: Service;
}

const KINDS: ReadonlySet<string> = new Set(['endpoint', 'gateway']);
const STATES: ReadonlySet<string> = new Set<ShownState>([
  'queued',
  'starting',
  'running',
  'stopping',
  'succeeded',
  'failed',
  'cancelled',
  'lost',
  'stopped'
]);

/**
 * The list as it is now: a job's events come sooner than the next list, so
 * what they say of a service goes first.
 */
export function current(
  list: EndpointList,
  jobs: ReadonlyMap<string, JobView>
): Picture {
  const gateway = [...jobs.values()].find(
    job => job.kind === 'gateway' && isLive(job)
  );
  return {
    endpoints: list.endpoints.map(endpoint => ({
      name: endpoint.name,
      model: endpoint.model,
      engine: endpoint.engine,
      url: address(endpoint),
      ...service(endpoint, jobs.get(endpoint.job ?? ''))
    })),
    gateway:
      gateway !== undefined
        ? service(NO_SERVICE, gateway)
        : quiet({ ...NO_SERVICE, state: known(list.gateway) })
  };
}

/** The views of what serves, in the order known: the same ones where nothing about them changed. */
export function services(jobs: ReadonlyMap<string, JobView>): JobView[] {
  return [...jobs.values()].filter(job => KINDS.has(job.kind));
}

/** Where callers reach an endpoint: OpenAI's base URL for chat, the V2 protocol's for the rest. */
export function address(
  endpoint: Pick<Endpoint, 'url' | 'task' | 'name'>
): string | null {
  const { url, task, name } = endpoint;
  if (url === null) {
    return null;
  }
  return task === 'chat'
    ? `${url}/v1`
    : `${url}/v2/models/${encodeURIComponent(name)}/infer`;
}

const NO_SERVICE: Service = {
  state: 'stopped',
  message: null,
  restarts: 0,
  job: null
};

function service(
  listed: Pick<Endpoint, 'state' | 'message' | 'restarts' | 'job'>,
  job: JobView | undefined
): Service {
  const { message, restarts } = job ?? listed;
  if (job !== undefined && !isLive(job)) {
    const why = job.error?.message ?? job.reason;
    return {
      state: 'stopped',
      message: job.state === 'cancelled' ? null : why,
      restarts,
      job: job.id
    };
  }
  const state = known(job?.state ?? listed.state);
  return quiet({ state, message, restarts, job: job?.id ?? listed.job });
}

/** Running is all there is to say of what runs. */
function quiet(service: Service): Service {
  return service.state === 'running' ? { ...service, message: null } : service;
}

/** A server newer than this page may know more states. */
export function known(state: string): ShownState {
  return STATES.has(state) ? (state as ShownState) : 'lost';
}
