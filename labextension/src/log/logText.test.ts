import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { append, EMPTY_LOG, MAX_LINES, tail } from './logText.js';

function read(...chunks: string[]): string {
  return chunks.reduce(append, EMPTY_LOG).lines.join('\n');
}

describe('the text of a log', () => {
  it('lets a progress bar overwrite its line', () => {
    assert.equal(
      read('load\n 10%|#  |\r 20%|## |', '\r100%|###|\n'),
      'load\n100%|###|\n'
    );
  });

  it('keeps what a shorter text does not cover', () => {
    assert.equal(read('12345\rab'), 'ab345');
  });

  it('knows Windows line ends, even cut in two', () => {
    assert.equal(read('one\r', '\ntwo\r\n'), 'one\ntwo\n');
  });

  it('drops colours and titles, even cut in two', () => {
    assert.equal(
      read('\x1b[3', '2mgreen\x1b[0m \x1b]0;title\x07end'),
      'green end'
    );
  });

  it('erases a line where it is told to', () => {
    assert.equal(read('downloading\r\x1b[Kdone'), 'done');
    assert.equal(read('downloading\x1b[2K\rdone'), 'done');
  });

  it('goes back one character on a backspace', () => {
    assert.equal(read('|\b/\b-'), '-');
  });

  it('does not wait for ever for the rest of an escape', () => {
    const text = read('\x1b[' + '1;'.repeat(400), 'after');
    assert.ok(text.endsWith('after'));
  });

  it('keeps the last lines and says that older ones are gone', () => {
    const log = append(EMPTY_LOG, 'x\n'.repeat(MAX_LINES + 10));
    assert.equal(log.lines.length, MAX_LINES);
    assert.equal(log.cut, true);
  });

  it('starts a log that is read from its end at a whole line', () => {
    const log = append(tail('\ufffdpart\none\n'), 'two');
    assert.deepEqual(log.lines, ['one', 'two']);
    assert.equal(log.cut, true);
  });

  it('shows markup as it was written', () => {
    assert.equal(read('<b>&amp;</b>'), '<b>&amp;</b>');
  });
});
