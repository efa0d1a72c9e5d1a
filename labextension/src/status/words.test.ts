import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LeasesView } from '../api/generated.js';
import { gpu } from '../machine/sample.js';
import { sample } from '../jobs/sample.js';
import { trans } from '../sections/sample.js';
import { count, details, fill, parts } from './words.js';

const machine = (changes: Partial<LeasesView> = {}): LeasesView => ({
  cpus: { total: 2, leased: 1, used: null },
  memory: { total: 8000, leased: 0, used: 2000 },
  gpus: [],
  unseen: null,
  ...changes
});

const busy = count([
  sample({ id: '1', cpus: 0.5 }),
  sample({ id: '2', state: 'stopping', cpus: 0.5 }),
  sample({ id: '3', state: 'queued' }),
  sample({ id: '4', state: 'succeeded' })
]);

describe('the status bar', () => {
  it('tells the GPUs, the processors, what runs and what waits', () => {
    const two = machine({
      gpus: [
        gpu({ used: 6000, total: 10_000 }),
        gpu({ used: 0, total: 10_000 })
      ]
    });
    assert.deepEqual(parts(two, busy, trans), [
      'GPU 30%',
      'CPU 1/2',
      '2 running',
      '1 queued'
    ]);
    assert.equal(fill(two, busy), 30);
  });

  it('leaves out what is not there', () => {
    assert.deepEqual(parts(machine(), count([]), trans), ['CPU 0/2']);
    assert.deepEqual(parts(null, count([]), trans), []);
    assert.equal(fill(machine(), busy), 50);
    assert.equal(fill(null, busy), 0);
  });

  it('has all of it in its details', () => {
    const one = machine({ gpus: [gpu({ used: 6000, free: 1000 })] });
    assert.deepEqual(details(one, busy, trans), [
      'GPU 0: 6,000 of 24,000 MiB used, 1,000 free',
      'CPUs: 1 of 2 leased',
      'Memory: 2,000 of 8,000 MiB used',
      'Jobs: 2 running, 1 queued'
    ]);
  });
});
