import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Endpoint } from '../api/generated.js';
import { byId, sample } from '../jobs/sample.js';
import { address, current, services } from './reconcile.js';

function endpoint(changes: Partial<Endpoint> = {}): Endpoint {
  return {
    name: 'flowers',
    model: 'flowers@1',
    engine: 'predict',
    task: 'multiclass',
    state: 'running',
    message: 'ready',
    restarts: 0,
    url: 'http://127.0.0.1:8765',
    job: 'E',
    ...changes
  };
}

const list = (...endpoints: Endpoint[]) => ({
  endpoints,
  gateway: 'running',
  url: 'http://127.0.0.1:8765'
});

const NO_JOBS = byId();

describe('an endpoint', () => {
  it('is as it is listed where its job is not known', () => {
    const [shown] = current(list(endpoint()), NO_JOBS).endpoints;
    assert.equal(shown.state, 'running');
    assert.equal(shown.message, null);
    assert.equal(shown.job, 'E');
  });

  it('is as its job was heard of last', () => {
    const killed = sample({
      id: 'E',
      kind: 'endpoint',
      service: true,
      state: 'starting',
      message: 'ended with signal 9; starting again',
      restarts: 1
    });
    const [shown] = current(list(endpoint()), byId(killed)).endpoints;
    assert.equal(shown.state, 'starting');
    assert.equal(shown.message, 'ended with signal 9; starting again');
    assert.equal(shown.restarts, 1);
  });

  it('is stopped where its job has ended, and says why unless somebody stopped it', () => {
    const ended = { id: 'E', kind: 'endpoint', service: true } as const;
    const shown = (job: ReturnType<typeof sample>) =>
      current(list(endpoint()), byId(job)).endpoints[0];
    const cancelled = shown(
      sample({ ...ended, state: 'cancelled', reason: 'cancelled' })
    );
    assert.equal(cancelled.state, 'stopped');
    assert.equal(cancelled.message, null);
    const failed = shown(
      sample({ ...ended, state: 'failed', reason: 'not_started' })
    );
    assert.equal(failed.state, 'stopped');
    assert.equal(failed.message, 'not_started');
  });

  it('in a state this page does not know counts as lost', () => {
    const [shown] = current(
      list(endpoint({ state: 'odd' })),
      NO_JOBS
    ).endpoints;
    assert.equal(shown.state, 'lost');
  });
});

describe('the gateway', () => {
  it('is as its job was heard of last', () => {
    const jobs = byId(
      sample({ id: 'A', kind: 'gateway', state: 'cancelled' }),
      sample({ id: 'B', kind: 'gateway', state: 'starting', restarts: 2 })
    );
    const { gateway } = current(list(), jobs);
    assert.equal(gateway.state, 'starting');
    assert.equal(gateway.restarts, 2);
    assert.equal(gateway.job, 'B');
  });

  it('is as it is listed where its job is not known', () => {
    assert.equal(current(list(), NO_JOBS).gateway.state, 'running');
  });
});

describe('an address', () => {
  it("is OpenAI's base for chat, and the V2 protocol's for the rest", () => {
    assert.equal(
      address(endpoint({ task: 'chat' })),
      'http://127.0.0.1:8765/v1'
    );
    assert.equal(
      address(endpoint({ name: 'a b' })),
      'http://127.0.0.1:8765/v2/models/a%20b/infer'
    );
    assert.equal(address(endpoint({ url: null })), null);
  });
});

describe('services', () => {
  it('are the jobs that serve', () => {
    const jobs = byId(
      sample({ id: 'A' }),
      sample({ id: 'B', kind: 'endpoint' }),
      sample({ id: 'C', kind: 'gateway' })
    );
    assert.deepEqual(
      services(jobs).map(job => job.id),
      ['B', 'C']
    );
  });
});
