import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byId, sample } from '../jobs/sample.js';
import { trans } from '../sections/sample.js';
import { alive, endedOf, isNews, notice } from './ended.js';

const ended = (changes: Parameters<typeof sample>[0]) =>
  sample({ state: 'succeeded', ended_at: '2026-11-22T10:03:06Z', ...changes });
const NOW = Date.parse('2026-11-22T10:04:00Z');
const NOBODY = new Set<string>();

describe('jobs whose end is told', () => {
  it('live, and are nobody’s steps', () => {
    const jobs = byId(
      sample({ id: '1' }),
      sample({ id: '2', state: 'queued' }),
      sample({ id: '3', parent: '1' }),
      ended({ id: '4' })
    );
    assert.deepEqual(alive(jobs), ['1', '2']);
  });

  it('were seen alive, and are told in the order of their ends', () => {
    const jobs = byId(
      ended({ id: '1', ended_at: '2026-11-22T10:03:07Z' }),
      ended({ id: '2' }),
      ended({ id: '3' }),
      sample({ id: '4', restarts: 3, service: true })
    );
    const found = endedOf(['1', '2', '4', 'gone'], jobs);
    assert.deepEqual(
      found.map(({ id }) => id),
      ['2', '1']
    );
  });
});

describe('an end', () => {
  it('is news where nobody here brought it about', () => {
    const cancelled = ended({ id: '1', state: 'cancelled' });
    assert.equal(isNews(ended({ id: '1' }), NOBODY, NOW), true);
    assert.equal(isNews(cancelled, NOBODY, NOW), true);
    assert.equal(isNews(cancelled, new Set(['1']), NOW), false);
  });

  it('of a service is news where it was not stopped', () => {
    const service = { id: '1', service: true };
    const stopped = ended({ ...service, state: 'cancelled' });
    assert.equal(isNews(stopped, NOBODY, NOW), false);
    assert.equal(
      isNews(ended({ ...service, state: 'failed' }), NOBODY, NOW),
      true
    );
  });

  it('is no news days later', () => {
    const day = 24 * 60 * 60_000;
    assert.equal(isNews(ended({ id: '1' }), NOBODY, NOW + day), false);
  });
});

describe('a notice', () => {
  const error = { code: 'oops', message: 'No column y.', fix: 'Name one.' };

  it('of one job says how it ended', () => {
    const train = ended({ id: '1', name: 'train' });
    assert.deepEqual(notice([train], trans), {
      tone: 'success',
      message: 'train succeeded after 3 min 5 s.',
      job: train
    });
    const failed = notice([{ ...train, state: 'failed', error }], trans);
    assert.equal(failed.tone, 'error');
    assert.equal(failed.message, 'train failed. No column y.');
    const dependent = { ...train, state: 'cancelled' as const, error };
    assert.equal(notice([dependent], trans).tone, 'warning');
    const lost = notice([{ ...train, state: 'lost' }], trans);
    assert.equal(lost.tone, 'error');
  });

  it('of several sums them up', () => {
    const jobs = [
      ended({ id: '1', state: 'failed' }),
      ended({ id: '2' }),
      ended({ id: '3' })
    ];
    assert.deepEqual(notice(jobs, trans), {
      tone: 'error',
      message: '3 jobs have ended: 2 succeeded, 1 failed.',
      job: null
    });
    assert.equal(notice([jobs[1], jobs[2]], trans).tone, 'success');
  });

  it('leaves room for what happened', () => {
    const { message } = notice(
      [ended({ id: '1', name: 'x'.repeat(200) })],
      trans
    );
    assert.ok(message.length < 140);
  });
});
