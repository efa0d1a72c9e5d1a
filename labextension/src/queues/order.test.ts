import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sample } from '../jobs/sample.js';
import { inLine } from './order.js';

const queued = (
  id: string,
  changes: Parameters<typeof sample>[0] | object = {}
) => sample({ state: 'queued', ...changes, id });

describe('the queue', () => {
  it('is first come, first served', () => {
    assert.deepEqual(inLine([queued('2'), queued('1')]), ['1', '2']);
  });

  it('serves higher priority first, and services that give way last', () => {
    const jobs = [
      queued('1', { gives_way: true }),
      queued('2'),
      queued('3', { priority: 5 })
    ];
    assert.deepEqual(inLine(jobs), ['3', '2', '1']);
  });

  it('lets notebooks take turns, the one with the fewest live jobs first', () => {
    const jobs = [
      sample({ id: '0', notebook: 'a.ipynb' }),
      queued('1', { notebook: 'a.ipynb' }),
      queued('2', { notebook: 'a.ipynb' }),
      queued('3', { notebook: 'b.ipynb' }),
      queued('4', { notebook: 'b.ipynb' })
    ];
    assert.deepEqual(inLine(jobs), ['3', '1', '4', '2']);
  });

  it('leaves out what runs or has ended', () => {
    const jobs = [sample({ id: '1' }), sample({ id: '2', state: 'failed' })];
    assert.deepEqual(inLine(jobs), []);
  });
});
