import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PromotionView } from '../api/generated.js';
import { trans } from '../sections/sample.js';
import {
  beforeText,
  chosen,
  evidenceText,
  stageText,
  whatText
} from './words.js';

const sample = (
  id: string,
  more: Partial<PromotionView> = {}
): PromotionView => ({
  id,
  kind: 'model',
  name: 'flowers',
  version: '2',
  content: '',
  target: 'champion',
  state: 'waiting',
  author: 'ann',
  actor: 'ann',
  comment: '',
  evidence: [],
  needs: 2,
  decisions: [],
  before: null,
  restores: null,
  at: '2026-11-22T10:00:00Z',
  decided_at: null,
  notebook: null,
  cell_id: null,
  can_decide: true,
  why_not: null,
  ...more
});

describe('a promotion in words', () => {
  it('names what it is about', () => {
    assert.equal(whatText(sample('1')), 'flowers@2');
    assert.equal(
      whatText(sample('1', { kind: 'dataset' })),
      'dataset flowers@2'
    );
  });

  it('says who is still to approve', () => {
    const ben = { actor: 'ben', role: 'approver', comment: '', at: '' };
    const decisions = [{ ...ben, decision: 'approved' }];
    assert.equal(
      stageText(sample('1', { decisions }), trans),
      'Waits: 1 of 2 approved'
    );
    assert.equal(
      stageText(sample('1', { state: 'rejected' }), trans),
      'Rejected'
    );
  });

  it('says what it replaces', () => {
    assert.equal(
      beforeText(sample('1', { before: '1' }), trans),
      'replaces flowers@1'
    );
    assert.equal(beforeText(sample('1'), trans), 'nothing stood there before');
  });

  it('counts evidence', () => {
    const evidence = [
      { check: 'auc', ok: true, found: '0.9' },
      { check: 'card', ok: false, found: 'none' }
    ];
    assert.equal(evidenceText(evidence, trans), '1 of 2 checks met');
    assert.equal(evidenceText([], trans), '');
  });
});

describe('the list of promotions', () => {
  const old = sample('1');
  const done = sample('2', { state: 'applied', actor: 'Ben' });
  const ids = (list: PromotionView[]): string[] => list.map(({ id }) => id);

  it('has open ones first, each once', () => {
    assert.deepEqual(ids(chosen([old], [done, old], '')), ['1', '2']);
  });

  it('leaves out what was open a moment ago, until it is known what it is', () => {
    assert.deepEqual(ids(chosen([], [done, old], '')), ['2']);
  });

  it('is searched by all words, in any case', () => {
    assert.deepEqual(ids(chosen([old], [done], 'BEN flowers')), ['2']);
    assert.deepEqual(ids(chosen([old], [done], 'carol')), []);
  });
});
