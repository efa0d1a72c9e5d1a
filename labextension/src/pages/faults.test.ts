import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CommandError } from '../api/errors.js';
import { dollars, faultOf, names, wholeNumber } from './faults.js';

const refusal = (message: string): CommandError =>
  new CommandError(400, 'invalid_input', message, null);

describe('what a server refuses', () => {
  it('is told beside the field it names', () => {
    assert.deepEqual(
      faultOf(refusal("limit: got '-1', expected 0 or more."), [
        'name',
        'limit'
      ]),
      { limit: "got '-1', expected 0 or more." }
    );
  });

  it('is no field’s where it names none of them', () => {
    const fields = ['name', 'limit'] as const;
    assert.equal(faultOf(refusal('other: got 1, expected 2.'), fields), null);
    assert.equal(faultOf(refusal('There is no such key.'), fields), null);
    assert.equal(faultOf(refusal('limited: to few'), fields), null);
    assert.equal(faultOf(new Error('limit: of patience'), fields), null);
    assert.equal(faultOf(null, fields), null);
  });
});

describe('what is typed', () => {
  it('is a whole number, also with separators', () => {
    assert.equal(wholeNumber(' 600 '), 600);
    assert.equal(wholeNumber('10 000'), 10_000);
    assert.equal(wholeNumber('1,000,000'), 1_000_000);
    for (const wrong of ['', '0', '-1', '1.5', '1e3', 'ten', '1,5', '1,0000']) {
      assert.equal(wholeNumber(wrong), null, wrong);
    }
  });

  it('is dollars, to the last digit', () => {
    assert.equal(dollars('$0.50'), '0.50');
    assert.equal(dollars(' 5 '), '5');
    assert.equal(dollars('0.000000000001'), '0.000000000001');
    for (const wrong of ['', '-1', '1,5', '1e3', '.', '$', '0.0000000000001']) {
      assert.equal(dollars(wrong), null, wrong);
    }
  });

  it('is names without their air', () => {
    assert.deepEqual(names(' chat*, ,story '), ['chat*', 'story']);
    assert.deepEqual(names(' , '), []);
  });
});
