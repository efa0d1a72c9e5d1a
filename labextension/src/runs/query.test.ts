import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { trans } from '../sections/sample.js';
import { keepSame, remember, toCondition } from './query.js';
import { formatSize, keyFigures, shownState, tookText } from './words.js';

describe('what is typed', () => {
  it('is looked for in names where it is plain words', () => {
    assert.equal(toCondition(' forest 2 '), "'forest 2' in name");
    assert.equal(toCondition('baseline-v2'), "'baseline-v2' in name");
    assert.equal(toCondition('made in June'), "'made in June' in name");
  });

  it('is a condition where it reads like one', () => {
    for (const text of [
      'metric.auc > 0.9 and param.lr < 1e-3',
      "name == 'x'",
      'metric.auc',
      'not out_of_order',
      "'a' in name"
    ]) {
      assert.equal(toCondition(text), text);
    }
  });

  it('is nothing where nothing is typed', () => {
    assert.equal(toCondition('  '), '');
  });
});

describe('the history', () => {
  it('has what was asked last in front, once', () => {
    assert.deepEqual(remember(['a', 'b'], 'b'), ['b', 'a']);
    assert.deepEqual(remember(['a'], ''), ['a']);
  });

  it('ends somewhere', () => {
    const many = Array.from({ length: 30 }, (_, i) => String(i));
    assert.equal(remember(many, 'x').length, 12);
  });
});

describe('a list that is read again', () => {
  it('keeps what did not change', () => {
    const before = [
      { id: '1', state: 'running' },
      { id: '2', state: 'running' }
    ];
    const after = keepSame(before, [
      { id: '3', state: 'running' },
      { id: '2', state: 'failed' },
      { id: '1', state: 'running' }
    ]);
    assert.deepEqual(
      after.map(run => run.state),
      ['running', 'failed', 'running']
    );
    assert.equal(after[2], before[0]);
    assert.notEqual(after[1], before[1]);
  });
});

describe('a run in few words', () => {
  it('shows its own figures before the machine’s', () => {
    const metrics = { 'system/cpu': 3, loss: 0.12345678, auc: 0.9 };
    assert.deepEqual(keyFigures(metrics), [
      ['auc', '0.9'],
      ['loss', '0.1235']
    ]);
  });

  it('takes time while it is open, and as long as it took', () => {
    const started_at = '2026-11-22T10:00:00Z';
    const now = Date.parse('2026-11-22T10:00:05Z');
    const open = { started_at, ended_at: null, state: 'running' };
    assert.equal(tookText(open, now, trans), '5 s');
    const ended_at = '2026-11-22T10:01:02Z';
    const ended = { started_at, ended_at, state: 'succeeded' };
    assert.equal(tookText(ended, now, trans), '1 min 2 s');
    const lost = { started_at, ended_at: null, state: 'lost' };
    assert.equal(tookText(lost, now, trans), '');
  });

  it('looks lost where its state is not known', () => {
    assert.equal(shownState('running'), 'running');
    assert.equal(shownState('odd'), 'lost');
  });

  it('has sizes in units', () => {
    assert.equal(formatSize(12), '12 B');
    assert.equal(formatSize(1536), '1.5 KiB');
  });
});
