import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  bandPath,
  formatNumber,
  linePath,
  nearest,
  place,
  roomy,
  spanOf,
  ticks
} from './scale.js';

describe('spans', () => {
  it('leave out what is no number', () => {
    assert.deepEqual(spanOf([null, 3, Infinity], [-1, NaN]), [-1, 3]);
    assert.equal(spanOf([null], []), null);
  });

  it('get room at both ends, and a length where they have none', () => {
    assert.deepEqual(roomy([0, 1], 0.1), [-0.1, 1.1]);
    const [low, high] = roomy([0, 0]);
    assert.ok(low < 0 && high > 0);
  });

  it('are laid on pixels, upside down where wanted', () => {
    assert.equal(place(5, [0, 10], [0, 100]), 50);
    assert.equal(place(0, [0, 10], [100, 0]), 100);
    assert.equal(place(7, [7, 7], [0, 100]), 50);
  });
});

describe('ticks', () => {
  it('are round and inside', () => {
    assert.deepEqual(ticks([0.03, 0.31], 3), [0.1, 0.2, 0.3]);
    assert.deepEqual(ticks([-1, 1], 2), [-1, 0, 1]);
  });

  it('are whole where steps are', () => {
    assert.deepEqual(ticks([0, 3], 6, true), [0, 1, 2, 3]);
  });

  it('end for whatever span', () => {
    assert.deepEqual(ticks([2, 2], 4), [2]);
    assert.deepEqual(ticks([0, Infinity], 4), [0]);
  });
});

describe('numbers', () => {
  it('have as many digits as count', () => {
    assert.equal(formatNumber(0.93124), '0.9312');
    assert.equal(formatNumber(0.1 + 0.2), '0.3');
    assert.equal(formatNumber(1234567), '1,234,567');
    assert.equal(formatNumber(1.5e-7), '1.5e-7');
    assert.equal(formatNumber(-2.345678e12), '-2.346e12');
    assert.equal(formatNumber(0), '0');
  });

  it('are said to be missing', () => {
    assert.equal(formatNumber(null), '–');
    assert.equal(formatNumber(NaN), '–');
  });
});

describe('paths', () => {
  it('break where there is no number', () => {
    assert.equal(
      linePath([0, 1, 2, 3], [1, 2, null, 4]),
      'M0.0 1.0L1.0 2.0M3.0 4.0h0'
    );
  });

  it('enclose what lies between', () => {
    assert.equal(
      bandPath([0, 1], [0, 0], [2, 2]),
      'M0.0 2.0L1.0 2.0L1.0 0.0L0.0 0.0Z'
    );
    assert.equal(bandPath([0, 1], [0, null], [2, 2]), '');
  });
});

describe('the nearest point', () => {
  it('is found from either side', () => {
    assert.equal(nearest([0, 10, 20], 14), 1);
    assert.equal(nearest([0, 10, 20], 16), 2);
    assert.equal(nearest([0, 10], -5), 0);
    assert.equal(nearest([0, 10], 99), 1);
    assert.equal(nearest([], 1), -1);
  });
});
