import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { trans } from '../sections/sample.js';
import { type Draft, EMPTY, FIELDS, read } from './draft.js';

const typed = (changes: Partial<Draft>): Draft => ({
  ...EMPTY,
  name: 'shop',
  ...changes
});

describe('a new key', () => {
  it('is asked for with what was filled in alone', () => {
    assert.deepEqual(read(typed({ name: ' shop ' }), trans), {
      params: { name: 'shop', role: 'developer' },
      faults: {}
    });
  });

  it('is asked for with all of it', () => {
    const { params, faults } = read(
      typed({
        role: 'viewer',
        life: '90d',
        expires: 'what was typed before',
        models: 'chat*, story',
        routes: '/v1/*',
        requests_per_minute: '60',
        tokens_per_minute: '10,000',
        concurrency: '2',
        limit: '$0.50',
        project: 'thesis'
      }),
      trans
    );
    assert.deepEqual(faults, {});
    assert.deepEqual(params, {
      name: 'shop',
      role: 'viewer',
      expires: '90d',
      models: ['chat*', 'story'],
      routes: ['/v1/*'],
      requests_per_minute: 60,
      tokens_per_minute: 10_000,
      concurrency: 2,
      limit: '0.50',
      project: 'thesis'
    });
  });

  it('expires when that was typed', () => {
    const draft = typed({ life: 'other', expires: ' 45d ' });
    assert.equal(read(draft, trans).params.expires, '45d');
    assert.deepEqual(
      Object.keys(read(typed({ life: 'other' }), trans).faults),
      ['expires']
    );
  });

  it('never gets a limit other than the one meant: what cannot be read is a fault', () => {
    const { faults } = read(
      typed({
        name: ' ',
        requests_per_minute: '1.5',
        tokens_per_minute: '0',
        concurrency: 'two',
        limit: '1,50'
      }),
      trans
    );
    assert.deepEqual(Object.keys(faults).sort(), [
      'concurrency',
      'limit',
      'name',
      'requests_per_minute',
      'tokens_per_minute'
    ]);
  });

  it('has all its fields named as the server names them', () => {
    const all = Object.keys(EMPTY).filter(name => name !== 'life');
    assert.deepEqual([...FIELDS].sort(), all.sort());
  });
});
