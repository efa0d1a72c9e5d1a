import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { trans } from './sample.js';
import {
  formatDuration,
  formatLatency,
  formatMoment,
  restartsText
} from './words.js';

describe('a duration', () => {
  it('has two units at most', () => {
    const minute = 60_000;
    assert.equal(formatDuration(-5, trans), '0 s');
    assert.equal(formatDuration(59_999, trans), '59 s');
    assert.equal(formatDuration(2 * minute + 5000, trans), '2 min 5 s');
    assert.equal(formatDuration(64 * minute, trans), '1 h 4 min');
    assert.equal(formatDuration(76 * 60 * minute, trans), '3 d 4 h');
  });
});

describe('how long an answer took', () => {
  it('has about two digits', () => {
    assert.equal(formatLatency(0.42, trans), '0.4 ms');
    assert.equal(formatLatency(35.4, trans), '35 ms');
    assert.equal(formatLatency(1234, trans), '1.2 s');
    assert.equal(formatLatency(125_000, trans), '2 min 5 s');
  });
});

describe('a moment', () => {
  const now = new Date(2026, 10, 22, 18, 0).getTime();

  it('is a time today, and a date with a time before', () => {
    const today = new Date(2026, 10, 22, 9, 30);
    const before = new Date(2026, 10, 21, 9, 30);
    assert.equal(
      formatMoment(today.toISOString(), now),
      today.toLocaleTimeString()
    );
    assert.equal(
      formatMoment(before.toISOString(), now),
      before.toLocaleString()
    );
    assert.equal(formatMoment('soon', now), null);
  });
});

describe('restarts', () => {
  it('are told where there were any', () => {
    assert.equal(restartsText(0, trans), '');
    assert.equal(restartsText(3, trans), 'Started again 3×');
  });
});
