import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { trans } from '../sections/sample.js';
import {
  backOf,
  backText,
  backWord,
  canaryOf,
  chanceWord,
  differenceText,
  figureText,
  intervalText,
  percentOf,
  promoteText,
  shadowOf,
  shareText
} from './rollout.js';
import { served, shown } from './sample.js';

const STANDS = served({ share: 90 });
const CANARY = served({ id: 'r2', model: 'story@2', share: 10 });
const SHADOW = served({ id: 'r3', model: 'story@3', share: 0, shadow: true });

describe('a rollout', () => {
  it('tells the canary from the shadow and from what stands', () => {
    const view = shown({ targets: [STANDS, SHADOW, CANARY] });
    assert.equal(canaryOf(view)?.model, 'story@2');
    assert.equal(shadowOf(view)?.model, 'story@3');
    assert.equal(canaryOf(shown()), null);
    assert.equal(shadowOf(shown()), null);
  });

  it('goes back by its newest model on trial, whatever its place', () => {
    const back = (...targets: (typeof STANDS)[]) =>
      backOf(shown({ targets, before: 'story@0' }));
    assert.deepEqual(back(STANDS, SHADOW, CANARY), {
      kind: 'shadow',
      model: 'story@3'
    });
    assert.deepEqual(back(STANDS, { ...CANARY, id: 'r10' }, SHADOW), {
      kind: 'canary',
      model: 'story@2'
    });
  });

  it('goes back to what stood before where nothing is on trial, if there is such', () => {
    assert.deepEqual(backOf(shown({ before: 'story@0' })), {
      kind: 'before',
      model: 'story@0'
    });
    assert.equal(backOf(shown()), null);
  });

  it('says what each step will do', () => {
    const view = shown({ targets: [STANDS, CANARY] });
    assert.match(
      promoteText(view, trans),
      /^story@2 answers all .* story@1 stops/
    );
    assert.match(
      backText(view, trans),
      /^story@2 gets no more .*story@1 answers all/
    );
    assert.match(
      backText(shown({ targets: [STANDS, SHADOW] }), trans),
      /^story@3 gets no more copies/
    );
    assert.match(
      backText(shown({ before: '<b>' }), trans),
      /^<b> is started, .* Then story@1 stops/
    );
    assert.equal(backText(shown(), trans), '');
    assert.equal(shareText(view, 25, trans), 'story@2: 25%, story@1: 75%');
    assert.equal(backWord(backOf(view), trans), 'Take canary back…');
    assert.equal(backWord({ kind: 'before', model: 'm' }, trans), 'Roll back…');
  });

  it('takes shares of 1 to 99 percent', () => {
    assert.equal(percentOf('25'), 25);
    assert.equal(percentOf(' 5 % '), 5);
    for (const wrong of ['', '0', '100', '-5', '2.5', 'all']) {
      assert.equal(percentOf(wrong), null, wrong);
    }
  });
});

describe('what models did', () => {
  const figure = (name: string, value: number | null, reach = 0) => ({
    name,
    count: 9,
    value,
    low: value === null || reach === 0 ? null : value - reach,
    high: value === null || reach === 0 ? null : value + reach
  });

  it('is told in its unit, with its interval', () => {
    assert.equal(figureText(figure('failures', 0.125), trans), '12.5%');
    assert.equal(figureText(figure('first token', 180), trans), '180 ms');
    assert.equal(figureText(figure('cost', 3e9), trans), '$0.0030');
    assert.equal(
      intervalText(figure('duration', 2000, 500), trans),
      '1.5 s to 2.5 s'
    );
  });

  it('is a dash where nothing was seen', () => {
    assert.equal(figureText(undefined, trans), '–');
    assert.equal(figureText(figure('cost', null), trans), '–');
    assert.equal(intervalText(figure('cost', 5), trans), '');
  });

  it('differs with a sign, and perhaps by chance', () => {
    const item = {
      target: 'r2',
      figure: 'first token',
      difference: -20,
      low: -55,
      high: 15,
      chance: true
    };
    assert.equal(differenceText(item, trans), '−20 ms (−55 ms to +15 ms)');
    const same = { ...item, figure: 'cost', difference: 0, low: 0, high: 0 };
    assert.equal(differenceText(same, trans), '$0.00');
    const failed = {
      ...item,
      figure: 'failures',
      difference: -0.002,
      low: -0.13,
      high: 0.128
    };
    assert.equal(
      differenceText(failed, trans),
      '−0.2 points (−13.0 points to +12.8 points)'
    );
    assert.equal(chanceWord(item, trans), 'could be chance');
    assert.equal(chanceWord({ chance: false }, trans), 'not by chance');
  });
});
