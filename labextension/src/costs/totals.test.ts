import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { row } from './sample.js';
import { bars, cachedShare, isBy, isPageBy, measure, total } from './totals.js';

describe('the total', () => {
  it('adds exactly, beyond what a float can hold', () => {
    const rows = [
      row('a', { cost_pico: '9007199254740993', requests: 2 }),
      row('b', { cost_pico: '2', unknown: 1, failed: 1, hits: 1 })
    ];
    assert.deepEqual(total(rows), {
      pico: 9007199254740995n,
      requests: 3,
      failed: 1,
      hits: 1,
      unknown: 1
    });
  });

  it('of nothing is nothing', () => {
    assert.equal(total([]).requests, 0);
  });
});

describe('the bars', () => {
  it('are as long as the costs', () => {
    const rows = [row('a', { cost_pico: '800' }), row('b', { cost_pico: '2' })];
    assert.equal(measure(rows), 'cost');
    assert.deepEqual(
      bars(rows, 'model').map(bar => bar.length),
      [1, 0.002]
    );
  });

  it('are as long as the requests where no cost is known', () => {
    const rows = [
      row('a', { requests: 4, unknown: 4 }),
      row('b', { requests: 1, unknown: 1 })
    ];
    assert.equal(measure(rows), 'requests');
    assert.deepEqual(
      bars(rows, 'model').map(bar => bar.length),
      [1, 0.25]
    );
  });

  it('stand from the latest day back', () => {
    const rows = [
      row('2026-11-20', { cost_pico: '9' }),
      row('2026-11-22', { cost_pico: '1' }),
      row('2026-11-21', { cost_pico: '4' })
    ];
    assert.deepEqual(
      bars(rows, 'day').map(bar => bar.row.group),
      ['2026-11-22', '2026-11-21', '2026-11-20']
    );
  });
});

describe('what requests are added up by', () => {
  it('is one of the choices shown', () => {
    assert.equal(isBy('day'), true);
    assert.equal(isBy('deployment'), false);
    assert.equal(isPageBy('deployment'), true);
    assert.equal(isBy(undefined), false);
  });
});

describe('the cached share', () => {
  it('is of all tokens read, however they were', () => {
    const rows = [
      row('a', { input_tokens: 50, cached_tokens: 30, cache_write_tokens: 20 }),
      row('b', { input_tokens: 100 })
    ];
    assert.equal(cachedShare(rows), 0.15);
  });

  it('is unknown where nothing was read', () => {
    assert.equal(cachedShare([row('a', { input_tokens: 0 })]), null);
  });
});
