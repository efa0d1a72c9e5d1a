import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byId, sample } from './sample.js';
import { choose, grow } from './tree.js';

describe('the order of jobs', () => {
  it('is live before ended, newest first', () => {
    const jobs = byId(
      sample({ id: '1' }),
      sample({ id: '2', state: 'failed' }),
      sample({ id: '3' }),
      sample({ id: '4', state: 'succeeded' })
    );
    const order = grow(jobs).map(branch => branch.job.id);
    assert.deepEqual(order, ['3', '1', '4', '2']);
  });

  it('puts what waits between, in the order of the queue', () => {
    const jobs = byId(
      sample({ id: '1' }),
      sample({ id: '2', state: 'queued' }),
      sample({ id: '3', state: 'queued' }),
      sample({ id: '4', state: 'queued', priority: 1 }),
      sample({ id: '5', state: 'failed' })
    );
    const order = grow(jobs).map(branch => branch.job.id);
    assert.deepEqual(order, ['1', '4', '2', '3', '5']);
  });

  it('puts steps under their parent, in the order they were submitted', () => {
    const jobs = byId(
      sample({ id: '3', parent: '1' }),
      sample({ id: '2', parent: '1' }),
      sample({ id: '1' })
    );
    const [pipeline] = grow(jobs);
    assert.deepEqual(
      pipeline.steps.map(step => step.job.id),
      ['2', '3']
    );
  });

  it('shows a step whose parent is not listed by itself', () => {
    assert.equal(grow(byId(sample({ id: '2', parent: '1' }))).length, 1);
  });

  it('survives parents in a circle', () => {
    const jobs = byId(
      sample({ id: '1', parent: '2' }),
      sample({ id: '2', parent: '1' }),
      sample({ id: '3', parent: '3' })
    );
    const roots = grow(jobs).map(branch => branch.job.id);
    assert.deepEqual(roots, ['3', '1']);
  });
});

describe('the filter', () => {
  it('keeps a live pipeline whole and out of the ended ones', () => {
    const branches = grow(
      byId(
        sample({ id: '1', state: 'succeeded' }),
        sample({ id: '2', state: 'running', parent: '1' }),
        sample({ id: '3', state: 'lost' })
      )
    );
    const ids = (filter: 'all' | 'live' | 'ended'): string[] =>
      choose(branches, filter).map(branch => branch.job.id);
    assert.deepEqual(ids('live'), ['1']);
    assert.deepEqual(ids('ended'), ['3']);
    assert.deepEqual(ids('all'), ['1', '3']);
  });
});
