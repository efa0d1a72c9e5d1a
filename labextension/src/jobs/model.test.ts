import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Event } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';
import type { JobView } from '../api/generated.js';
import type { IClient } from '../tokens.js';
import { JobsModel } from './model.js';
import { sample } from './sample.js';

const RUNNING = sample({ id: 'A' });

/** A model of one running job, whose cancelling is answered when the test says so. */
async function known(context: TestContext) {
  context.mock.timers.enable({ apis: ['setInterval'] });
  Object.assign(globalThis, { window: globalThis });
  const events = new Signal<object, Event.Emission>({});
  let answer: (view: JobView) => void = () => undefined;
  const call = (command: string): Promise<unknown> =>
    command === 'jobs/list'
      ? Promise.resolve({ jobs: [RUNNING], total: 1, revision: 4, note: null })
      : new Promise(resolve => (answer = resolve));
  const model = new JobsModel(
    { call } as unknown as IClient,
    events as unknown as Event.Stream
  );
  await settled();
  const tell = (revision: number, since: number, ...jobs: JobView[]): void =>
    events.emit({
      schema_id: 'https://schema.snapml-lab.org/jobs/v1',
      revision,
      since,
      jobs
    } as unknown as Event.Emission);
  const state = (): string | undefined => model.jobs.get('A')?.state;
  return { model, tell, state, answer: (view: JobView) => answer(view) };
}

const settled = (): Promise<void> =>
  new Promise(resolve => setImmediate(resolve));

describe('cancelling a job', () => {
  it('shows what the answer says', async context => {
    const { model, state, answer } = await known(context);
    const cancelled = model.cancel('A');
    answer(sample({ id: 'A', state: 'stopping' }));
    await cancelled;
    assert.equal(state(), 'stopping');
    assert.equal(model.cancelling.has('A'), true);
  });

  it('keeps the end that an event told before the answer came', async context => {
    const { model, tell, state, answer } = await known(context);
    const cancelled = model.cancel('A');
    tell(6, 4, sample({ id: 'A', state: 'cancelled' }));
    answer(sample({ id: 'A', state: 'stopping' }));
    await cancelled;
    assert.equal(state(), 'cancelled');
    assert.equal(model.cancelling.size, 0);
  });
});
