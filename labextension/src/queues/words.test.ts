import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { QueueView } from '../api/generated.js';
import { trans } from '../sections/sample.js';
import { attemptText, placeText, queueText, worthShowing } from './words.js';

const queue = (changes: Partial<QueueView> = {}): QueueView => ({
  name: 'default',
  running: 0,
  queued: 0,
  at_most: null,
  paused: false,
  ...changes
});

describe('the queues', () => {
  it('are shown where they have something to say', () => {
    assert.equal(worthShowing([]), false);
    assert.equal(worthShowing([queue({ running: 3 })]), false);
    assert.equal(worthShowing([queue({ queued: 1 })]), true);
    assert.equal(worthShowing([queue({ paused: true })]), true);
    assert.equal(worthShowing([queue({ at_most: 2 })]), true);
    assert.equal(worthShowing([queue(), queue({ name: 'night' })]), true);
  });

  it('tell what runs, what waits, and their limit', () => {
    assert.equal(
      queueText(queue({ running: 1, queued: 2 }), trans),
      '1 running, 2 waiting'
    );
    assert.equal(
      queueText(queue({ at_most: 2 }), trans),
      '0 running, 0 waiting, at most 2 at once'
    );
  });
});

describe('the place of a job', () => {
  it('is told where it is unusual', () => {
    const place = (queue: string, priority: number): string =>
      placeText({ queue, priority }, trans);
    assert.equal(place('default', 0), '');
    assert.equal(place('default', -1), 'Priority -1');
    assert.equal(place('night', 0), 'Queue night');
    assert.equal(place('night', 5), 'Queue night, priority 5');
  });
});

describe('attempts', () => {
  it('are told from the second on', () => {
    const text = (attempt: number, retries: number): string =>
      attemptText({ attempt, retries }, trans);
    assert.equal(text(1, 3), '');
    assert.equal(text(2, 3), 'Attempt 2 of 4');
    assert.equal(text(1, 0), '');
  });
});
