import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { trans } from '../sections/sample.js';
import { draftOf, readBudget } from './budget.js';
import { budget } from './sample.js';

describe('a budget', () => {
  it('on an endpoint’s page is for that endpoint', () => {
    const draft = { ...draftOf(null, 'story'), name: ' ours ', dollars: '$5' };
    assert.deepEqual(readBudget(draft, trans), {
      params: { name: 'ours', dollars: '5', period: 'month', model: 'story' },
      faults: {}
    });
  });

  it('elsewhere is for all until that is said otherwise', () => {
    const draft = { ...draftOf(null, null), name: 'all', dollars: '0.5' };
    assert.deepEqual(readBudget(draft, trans).params, {
      name: 'all',
      dollars: '0.5',
      period: 'month'
    });
    const { faults } = readBudget({ ...draft, kind: 'key' }, trans);
    assert.deepEqual(Object.keys(faults), ['key']);
  });

  it('lacks nothing that matters', () => {
    const { faults } = readBudget(draftOf(null, null), trans);
    assert.deepEqual(Object.keys(faults).sort(), ['dollars', 'name']);
  });

  it('is changed from what it is, to the last digit', () => {
    for (const [pico, typed] of [
      ['20000000000000', '20'],
      ['500000000000', '0.5'],
      ['1', '0.000000000001'],
      ['0', '0']
    ]) {
      const known = budget({
        limit_pico: pico,
        period: 'week',
        kind: 'key',
        subject: 'ann'
      });
      const draft = draftOf(known, null);
      assert.equal(draft.dollars, typed);
      assert.deepEqual(readBudget(draft, trans), {
        params: { name: 'team', dollars: typed, period: 'week', key: 'ann' },
        faults: {}
      });
    }
  });
});
