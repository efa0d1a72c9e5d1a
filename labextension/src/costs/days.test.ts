import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BudgetLine, ForecastView } from '../api/generated.js';
import { apart, layOut } from './days.js';
import { budget as declared } from './sample.js';

const day = (name: string, requests: string, jobs = '0') => ({
  day: name,
  requests_pico: requests,
  jobs_pico: jobs
});

const FORECAST: ForecastView = {
  until: '2026-11-30',
  cost_pico: '9',
  low_pico: '8',
  high_pico: '10',
  daily_pico: '500000000000',
  days: 5,
  by_weekday: false
};

const budget = (changes: Partial<BudgetLine>): BudgetLine =>
  declared({
    period: 'day',
    limit_pico: '2000000000000',
    daily_pico: '2000000000000',
    ...changes
  });

describe('the columns', () => {
  it('are of the days seen, and of those expected to the end of the month', () => {
    const { columns, top } = layOut({
      spent: [
        day('2026-11-27', '1000000000000', '500000000000'),
        day('2026-11-28', '0')
      ],
      forecast: FORECAST,
      budgets: []
    });
    assert.deepEqual(
      columns.map(({ day, expected }) => [day, expected]),
      [
        ['2026-11-27', false],
        ['2026-11-28', false],
        ['2026-11-29', true],
        ['2026-11-30', true]
      ]
    );
    assert.deepEqual(
      columns.map(({ requests, jobs }) => [requests, jobs]),
      [
        [1, 0.5],
        [0, 0],
        [0.5, 0],
        [0.5, 0]
      ]
    );
    assert.equal(top, 1.5 * 1.08);
  });

  it('end today where nothing can be told of tomorrow', () => {
    const spent = [day('2026-11-28', '0')];
    const { columns, top } = layOut({ spent, forecast: null, budgets: [] });
    assert.equal(columns.length, 1);
    assert.equal(top, 1);
  });

  it('of nothing are none', () => {
    assert.deepEqual(layOut({ forecast: FORECAST }).columns, []);
  });
});

describe('the lines', () => {
  const spent = [day('2026-11-28', '1000000000000')];
  const names = (budgets: BudgetLine[]): string[] =>
    layOut({ spent, forecast: null, budgets }).lines.map(line => line.name);

  it('are the budgets for all that is spent, by what they come to a day', () => {
    assert.deepEqual(names([budget({})]), ['team']);
    assert.deepEqual(names([budget({ scope: 'key ann' })]), []);
    assert.deepEqual(
      names([budget({ period: 'total', daily_pico: null })]),
      []
    );
  });

  it('leave out what would flatten all columns', () => {
    assert.deepEqual(names([budget({ daily_pico: '4000000000000' })]), []);
  });

  it('have words that do not cover each other', () => {
    assert.deepEqual(apart([100, 50, 95], 13), [100, 50, 87]);
    assert.deepEqual(apart([100, 98, 96], 13), [100, 87, 74]);
    assert.deepEqual(apart([], 13), []);
  });
});
