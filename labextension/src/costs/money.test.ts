import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { trans } from '../sections/sample.js';
import { formatCost, formatMoney } from './money.js';

describe('money', () => {
  const cases: [bigint, string][] = [
    [0n, '$0.00'],
    [1n, '$0.000000000001'],
    [12n, '$0.000000000012'],
    [1_234_567n, '$0.0000012'],
    [2_345_678_901n, '$0.0023'],
    [98_765_432_109n, '$0.099'],
    [123_456_789_012n, '$0.12'],
    [999_999_999_999n, '$1.00'],
    [1_000_000_000_000n, '$1.00'],
    [1_005_000_000_000n, '$1.00'],
    [1_015_000_000_000n, '$1.02'],
    [1_234_567_890_000_000_000n, '$1,234,567.89']
  ];
  for (const [pico, words] of cases) {
    it(`of ${pico} pico-dollars is ${words}`, () => {
      assert.equal(formatMoney(pico), words);
    });
  }
});

describe('a cost', () => {
  const cost = (pico: bigint, requests: number, unknown: number): string =>
    formatCost({ pico, requests, unknown }, trans);

  it('is unknown, not nothing, where no request has a known one', () => {
    assert.equal(cost(0n, 3, 3), 'unknown');
  });

  it('is what is known otherwise', () => {
    assert.equal(cost(5_000_000_000n, 3, 1), '$0.0050');
    assert.equal(cost(0n, 3, 0), '$0.00');
  });
});
