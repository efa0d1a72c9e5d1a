import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { trans } from '../sections/sample.js';
import { describeChanges, elapsed, gpuText, percent } from './format.js';
import { byId, sample } from './sample.js';

describe('the GPU memory of a job', () => {
  it('stands beside what it asked for', () => {
    const text = (gpu_peak: number | null, gpu_memory: number | null): string =>
      gpuText({ gpu_peak, gpu_memory }, trans);
    assert.equal(text(null, 8000), '');
    assert.equal(
      text(7900, 8000),
      'GPU memory: at most 7,900 of 8,000 MiB used'
    );
    assert.equal(text(7900, null), 'GPU memory: at most 7,900 MiB used');
  });
});

describe('the time a job took', () => {
  const now = Date.parse('2026-11-22T10:00:11Z');

  it('counts from its start, up to now or its end', () => {
    assert.equal(elapsed(sample({ id: 'A' }), now), 10_000);
    const ended = sample({
      id: 'A',
      state: 'failed',
      ended_at: '2026-11-22T10:00:03Z'
    });
    assert.equal(elapsed(ended, now), 2000);
  });

  it('counts the wait of a job that never started', () => {
    const queued = sample({ id: 'A', state: 'queued', started_at: null });
    assert.equal(elapsed(queued, now), 11_000);
  });

  it('is unknown where the end is', () => {
    assert.equal(elapsed(sample({ id: 'A', state: 'lost' }), now), null);
    const odd = sample({ id: 'A', started_at: 'soon' });
    assert.equal(elapsed(odd, now), null);
  });
});

describe('a percentage', () => {
  it('is whole, within bounds, and 100 only at the end', () => {
    assert.equal(percent({ progress: 0.999 }), 99);
    assert.equal(percent({ progress: 1 }), 100);
    assert.equal(percent({ progress: 7 }), 100);
    assert.equal(percent({ progress: -1 }), 0);
    assert.equal(percent({ progress: NaN }), null);
    assert.equal(percent({ progress: null }), null);
  });
});

describe('what changed, in words', () => {
  it('names jobs whose state changed, not new ones', () => {
    const before = byId(sample({ id: 'A' }), sample({ id: 'B' }));
    const after = byId(
      sample({ id: 'A', state: 'failed' }),
      sample({ id: 'B', progress: 0.5 }),
      sample({ id: 'C' })
    );
    assert.equal(describeChanges(before, after, trans), 'A: Failed');
  });
});
