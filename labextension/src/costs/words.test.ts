import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CostRow } from '../api/generated.js';
import { trans } from '../sections/sample.js';
import { row } from './sample.js';
import { endedWord, groupName, rowParts, usageText } from './words.js';

const ROW: CostRow = row('tuned@1', {
  requests: 3,
  failed: 1,
  input_tokens: 60,
  cached_tokens: 30,
  cache_write_tokens: 30,
  output_tokens: 40,
  reasoning_tokens: 5,
  cached_share: 0.25,
  hits: 2,
  unknown: 2,
  first_token_ms: 84.2,
  tokens_per_second: 31.4
});

describe('a group of requests', () => {
  it('says what it used', () => {
    assert.deepEqual(rowParts(ROW, trans), [
      '3 requests',
      '1 failed',
      '2 of unknown cost',
      '2 from the cache',
      '120 + 45 tokens',
      '25% cached',
      'first token after 84 ms',
      '31 tokens/s'
    ]);
  });

  it('leaves out what does not apply', () => {
    const classic = {
      ...ROW,
      requests: 1,
      failed: 0,
      unknown: 0,
      hits: 0,
      input_tokens: 0,
      cached_tokens: 0,
      cache_write_tokens: 0,
      output_tokens: 0,
      reasoning_tokens: 0,
      cached_share: null,
      first_token_ms: null,
      tokens_per_second: null
    };
    assert.deepEqual(rowParts(classic, trans), ['1 request']);
  });

  it('is named by its notebook without the folders', () => {
    assert.equal(groupName('a/b.ipynb', 'notebook', trans), 'b.ipynb');
    assert.equal(groupName('(none)', 'notebook', trans), 'Not from a notebook');
    assert.equal(groupName('(none)', 'key', trans), '(none)');
    assert.equal(groupName('a/b.ipynb c1', 'cell', trans), 'b.ipynb c1');
    assert.equal(groupName('(none)', 'cell', trans), 'Not from a cell');
    assert.equal(groupName('(none)', 'project', trans), 'Of no project');
  });
});

const BARE = {
  cached_tokens: null,
  cache_write_tokens: null,
  reasoning_tokens: null,
  hit: false
};

describe('a request', () => {
  it('ended in words', () => {
    const ended = (word: string, status = 200): string =>
      endedWord({ ended: word, status }, trans);
    assert.equal(ended('complete'), 'Complete');
    assert.equal(ended('hung_up', 499), 'Caller hung up');
    assert.equal(ended('failed', 503), 'Failed (503)');
    assert.equal(ended('failed'), 'Failed');
    assert.equal(ended('of_a_newer_server'), 'of_a_newer_server');
  });

  it('says how its usage is known', () => {
    const usage = (
      input_tokens: number | null,
      output_tokens: number | null,
      usage: string,
      route = '/v1/chat/completions'
    ): string =>
      usageText({ ...BARE, route, input_tokens, output_tokens, usage }, trans);
    assert.equal(usage(7, 5, 'metered'), '7 + 5 tokens, metered');
    assert.equal(usage(null, 5, 'estimated'), '? + 5 tokens, estimated');
    assert.equal(usage(null, null, 'unknown'), 'tokens unknown');
    assert.equal(usage(null, null, 'unknown', '/v2/infer'), '');
  });

  it('tells all tokens read and written, or that no engine was asked', () => {
    const request = {
      route: '/v1/chat/completions',
      input_tokens: 7,
      cached_tokens: 90,
      cache_write_tokens: 3,
      output_tokens: 5,
      reasoning_tokens: 20,
      usage: 'metered',
      hit: false
    };
    assert.equal(usageText(request, trans), '100 + 25 tokens, metered');
    const hit = { ...request, hit: true };
    assert.equal(usageText(hit, trans), 'from the cache');
  });
});
