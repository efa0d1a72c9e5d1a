import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { trans } from '../sections/sample.js';
import {
  bounded,
  factsOf,
  limitsText,
  scopesText,
  sorted,
  standingOf
} from './standing.js';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const key = (
  name: string,
  revoked_at: string | null = null,
  expires_at?: string | null
) => ({ name, revoked_at, expires_at });

describe('a key', () => {
  it('is in use until it is revoked or expires', () => {
    assert.equal(standingOf(key('a'), NOW), 'living');
    assert.equal(standingOf(key('a', null, null), NOW), 'living');
    assert.equal(
      standingOf(key('a', null, '2026-11-22T12:00:01Z'), NOW),
      'living'
    );
    assert.equal(
      standingOf(key('a', null, '2026-11-22T12:00:00Z'), NOW),
      'expired'
    );
    assert.equal(
      standingOf(key('a', '2026-11-01T00:00:00Z', '2026-11-02T00:00:00Z'), NOW),
      'revoked'
    );
  });

  it('that is in use stands before those that are not, else all stay in order', () => {
    const keys = [key('1', 'then'), key('2'), key('3', 'then'), key('4')];
    assert.deepEqual(
      sorted(keys, NOW).map(({ name }) => name),
      ['2', '4', '1', '3']
    );
  });

  it('may all where nothing is said', () => {
    assert.equal(scopesText({}, trans), 'all models');
    assert.equal(scopesText({ models: null, routes: [] }, trans), 'all models');
    assert.equal(limitsText({}, trans), '');
    assert.equal(limitsText({ concurrency: null }, trans), '');
  });

  it('tells only what the server does', () => {
    assert.deepEqual(factsOf({ revoked_at: null }, NOW, trans), []);
    assert.equal(bounded({}), false);
    assert.equal(bounded({ models: null }), true);
    const [used, expires] = factsOf(
      {
        revoked_at: null,
        last_used_at: null,
        expires_at: '2026-11-21T00:00:00Z'
      },
      NOW,
      trans
    );
    assert.equal(used, 'never used');
    assert.match(expires, /^expired /);
    const revoked = { revoked_at: '2026-11-21T00:00:00Z' };
    assert.match(
      factsOf(
        { ...revoked, expires_at: '2027-01-01T00:00:00Z' },
        NOW,
        trans
      ).join(),
      /^revoked [^,]*/
    );
  });

  it('may what is said', () => {
    assert.equal(
      scopesText({ models: ['a*', 'b'], routes: ['/v1/*'] }, trans),
      'models a*, b; routes /v1/*'
    );
    assert.equal(
      limitsText(
        {
          requests_per_minute: 60,
          tokens_per_minute: 0,
          concurrency: 2,
          limit_pico: '500000000000'
        },
        trans
      ),
      '60 requests/min, 0 tokens/min, 2 at once, $0.50 in all'
    );
  });
});
