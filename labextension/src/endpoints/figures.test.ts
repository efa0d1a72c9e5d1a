import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EndpointView } from '../api/generated.js';
import { trans } from '../sections/sample.js';
import {
  brokeWord,
  type Figure,
  figuresOf,
  guardText,
  formatRate,
  secondsOf
} from './figures.js';
import { IDLE, replica, served, shown, stretch } from './sample.js';

const figure = (view: EndpointView, id: string): Figure => {
  const found = figuresOf(view, [], trans).find(one => one.id === id);
  assert.ok(found, id);
  return found;
};

describe('figures', () => {
  it('of a classic model say nothing of tokens', () => {
    const ids = (task: string): string[] =>
      figuresOf(shown({ task }), [], trans).map(({ id }) => id);
    assert.deepEqual(ids('binary'), [
      'requests',
      'duration',
      'memory',
      'money',
      'failures'
    ]);
    assert.ok(ids('chat').includes('first-token'));
  });

  it('that are not known are no zeros', () => {
    for (const id of ['tokens', 'first-token', 'duration', 'cache', 'memory']) {
      assert.equal(figure(shown(), id).value, '–', id);
    }
    assert.equal(figure(shown(), 'requests').value, '0/s');
  });

  it('tell what is and how it spreads', () => {
    const view = shown({
      open: 2,
      doing: {
        ...IDLE,
        requests: 1200,
        per_second: 1.34,
        written_tokens: 5000,
        written_per_second: 5.6,
        tokens_per_second: 41.7,
        first_token_ms: { p50: 120, p95: 2300 },
        engine_cache: 0.256,
        read_tokens: 9000,
        answered_before: 1
      }
    });
    assert.equal(figure(view, 'requests').value, '1.3/s');
    assert.match(figure(view, 'requests').note, /1.200 requests · 2 under way/);
    assert.equal(figure(view, 'tokens').value, '42 tokens/s');
    assert.equal(figure(view, 'first-token').value, '120 ms');
    assert.equal(figure(view, 'first-token').note, '95% within 2.3 s');
    assert.equal(figure(view, 'cache').value, '26%');
    assert.match(figure(view, 'cache').note, /1 answer given again/);
  });

  it('of memory go over what was held since the page was opened', () => {
    const services = [replica({ memory: 2048, peak_memory: 3072 })];
    const view = shown({ targets: [served({ services })] });
    const held = [{ at: 1, memory: 5, gpu: null }];
    const found = figuresOf(view, held, trans).find(
      ({ id }) => id === 'memory'
    );
    assert.ok(found);
    assert.equal(found.value, '2.0 GiB');
    assert.equal(found.note, 'at most 3.0 GiB');
    assert.deepEqual(found.points, [{ at: 1, value: 5 }]);
  });
});

describe('money', () => {
  const spent = (changes: Partial<EndpointView>): Figure =>
    figure(shown(changes), 'money');

  it('is an hour of what the window cost, exactly', () => {
    const doing = { ...IDLE, requests: 3, cost_pico: '250000000001' };
    const found = spent({
      doing,
      spent_pico: '3000000000000',
      spent_requests: 9
    });
    assert.equal(found.value, '$1.00/h');
    assert.equal(found.note, '$3.00 in all');
  });

  it('that is not known is unknown, and counted', () => {
    const doing = { ...IDLE, requests: 3, unknown: 3 };
    const found = spent({ doing, spent_requests: 4, spent_unknown: 4 });
    assert.equal(found.value, 'unknown');
    assert.equal(found.note, 'unknown in all · 4 of unknown cost');
    const series = [
      stretch({ requests: 2, unknown: 2 }),
      stretch({ requests: 2, unknown: 1, cost_pico: '1000000000000' }),
      stretch()
    ].map((one, minute) => ({ ...one, at: `2026-11-22T11:5${minute}:00Z` }));
    assert.deepEqual(
      spent({ doing, series }).points.map(({ value }) => value),
      [null, 60, 0]
    );
  });
});

describe('a rate', () => {
  it('of what is seldom is by the minute', () => {
    const value = (per_second: number): string =>
      figure(shown({ doing: { ...IDLE, per_second } }), 'requests').value;
    assert.equal(value(0), '0/s');
    assert.equal(value(0.1), '0.10/s');
    assert.equal(value(0.05), '3.0/min');
  });

  it('has as many digits as count', () => {
    assert.deepEqual([0, 0.254, 3.44, 12.6].map(formatRate), [
      '0',
      '0.25',
      '3.4',
      '13'
    ]);
  });

  it('in a stretch that is seen in part is of its seconds', () => {
    const view = shown({
      since: '2026-11-22T11:45:30Z',
      until: '2026-11-22T11:47:03Z',
      series: [
        stretch({ at: '2026-11-22T11:45:00Z', requests: 30 }),
        stretch({ at: '2026-11-22T11:46:00Z', requests: 30 }),
        stretch({ at: '2026-11-22T11:47:00Z', requests: 30 })
      ]
    });
    assert.deepEqual(
      view.series.map(one => secondsOf(one, view)),
      [30, 60, 3]
    );
    const values = figure(view, 'requests').points.map(({ value }) => value);
    assert.deepEqual(values, [1, 0.5, null]);
  });
});

describe('what went wrong', () => {
  it("is told in our words, or in the server's where it knows more", () => {
    assert.equal(
      brokeWord({ kind: 'limited', words: 'x' }, trans),
      'over a rate limit'
    );
    assert.equal(
      brokeWord({ kind: 'new', words: 'moon out' }, trans),
      'moon out'
    );
  });

  it('at the guardrails is told by what they found', () => {
    const guard =
      '[{"action":"block","detector":"pii.email","spans":[1]},{"action":"flag","n":2}]';
    assert.equal(guardText(guard), 'block pii.email, flag 2');
    assert.equal(guardText('no JSON'), 'no JSON');
    assert.equal(guardText('{"a":1}'), '{"a":1}');
    assert.equal(guardText('["masked"]'), 'masked');
  });

  it('is counted, by kind', () => {
    const failures = [
      { kind: 'hung_up', words: '', requests: 2 },
      { kind: 'engine', words: '', requests: 1 }
    ];
    const found = figure(shown({ doing: { ...IDLE, failures } }), 'failures');
    assert.equal(found.value, '3');
    assert.equal(found.note, '2 × caller hung up, 1 × engine failed');
  });
});
