import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { trans } from '../sections/sample.js';
import {
  leftOf,
  levelOf,
  levelWord,
  percentText,
  scopeText,
  shareOf,
  type Use,
  usedTexts
} from './spent.js';

const use = (limit: bigint, spent: bigint, held = 0n): Use => ({
  limit,
  spent,
  held
});

describe('a limit', () => {
  it('warns from 80 % on, and is full when all of it is spent or held', () => {
    assert.equal(levelOf(use(1000n, 0n)), 'room');
    assert.equal(levelOf(use(1000n, 799n)), 'room');
    assert.equal(levelOf(use(1000n, 800n)), 'near');
    assert.equal(levelOf(use(1000n, 300n, 500n)), 'near');
    assert.equal(levelOf(use(1000n, 999n)), 'near');
    assert.equal(levelOf(use(1000n, 600n, 400n)), 'full');
    assert.equal(levelOf(use(1000n, 1200n)), 'full');
  });

  it('of nothing is full', () => {
    assert.equal(levelOf(use(0n, 0n)), 'full');
    assert.equal(shareOf(0n, 0n), 1);
  });

  it('has no less than nothing left, and shares within the bar', () => {
    assert.equal(leftOf(use(10n, 4n, 3n)), 3n);
    assert.equal(leftOf(use(10n, 12n)), 0n);
    assert.equal(shareOf(12n, 10n), 1);
    assert.equal(shareOf(1n, 4n), 0.25);
    // Too large for a float to tell apart.
    assert.equal(shareOf(2n ** 80n - 1n, 2n ** 81n), 0.4999);
  });

  it('that is not full is never told as such', () => {
    assert.equal(percentText(use(100_000n, 99_999n)), '99%');
    assert.equal(levelWord(use(100_000n, 99_999n), trans), '99% used');
    assert.equal(levelWord(use(10n, 10n), trans), 'full');
    assert.equal(levelWord(use(10n, 1n), trans), '');
  });

  it('is told in words', () => {
    const dollar = 10n ** 12n;
    assert.deepEqual(usedTexts(use(2n * dollar, dollar), trans), [
      '$1.00 of $2.00 spent',
      '$1.00 left'
    ]);
    assert.deepEqual(usedTexts(use(2n * dollar, dollar, dollar), trans), [
      '$1.00 of $2.00 spent',
      '$1.00 held',
      '$0.00 left'
    ]);
  });

  it('says what it is for', () => {
    assert.equal(scopeText({ kind: '', subject: '' }, trans), 'all requests');
    assert.equal(
      scopeText({ kind: 'model', subject: '<b>' }, trans),
      'requests to <b>'
    );
    assert.equal(scopeText({ kind: 'moon', subject: 'x' }, trans), 'moon x');
  });
});
