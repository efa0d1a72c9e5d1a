import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { csvOf, exactDollars } from './csv.js';
import { row } from './sample.js';

describe('the file for a spreadsheet', () => {
  it('has a line a group, and exact amounts', () => {
    const lines = csvOf('model', [
      row('tuned@1', { requests: 2, cost_pico: '1500000000001' }),
      row('plain')
    ]).split('\n');
    assert.equal(
      lines[0],
      'model,requests,failed,hits,input_tokens,cached_tokens,cache_write_tokens,output_tokens,reasoning_tokens,machine_seconds,dollars,unknown'
    );
    assert.equal(lines[1], 'tuned@1,2,0,0,10,0,0,5,0,0,1.500000000001,0');
    assert.equal(lines[3], '');
  });

  it('quotes what would break a line', () => {
    assert.match(csvOf('key', [row('a "b", c')]), /^"a ""b"", c",/m);
  });

  for (const start of ['=', '+', '-', '@', '\t', '\r']) {
    it(`marks a name that begins with ${JSON.stringify(start)} as text`, () => {
      const line = csvOf('key', [row(`${start}cmd()`)]).slice(
        csvOf('key', []).length
      );
      assert.ok(line.startsWith("'") || line.startsWith(`"'`), line);
    });
  }
});

describe('exact dollars', () => {
  const cases: [bigint, string][] = [
    [0n, '0'],
    [1n, '0.000000000001'],
    [1_000_000_000_000n, '1'],
    [12_340_000_000_000n, '12.34']
  ];
  for (const [pico, words] of cases) {
    it(`of ${pico} pico-dollars are ${words}`, () => {
      assert.equal(exactDollars(pico), words);
    });
  }
});
