import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { columnsOf } from './layers.js';

const arrow = (source: string, target: string) => ({ source, target });

describe('a graph in columns', () => {
  it('has arrows that go to the right', () => {
    const columns = columnsOf(
      ['model', 'run', 'data', 'endpoint'],
      [arrow('run', 'model'), arrow('data', 'run'), arrow('model', 'endpoint')]
    );
    assert.deepEqual(columns, [['data'], ['run'], ['model'], ['endpoint']]);
  });

  it('has what nothing leads to beside what it leads to', () => {
    const columns = columnsOf(
      ['a', 'b', 'c', 'late'],
      [arrow('a', 'b'), arrow('b', 'c'), arrow('late', 'c')]
    );
    assert.deepEqual([...columns[1]].sort(), ['b', 'late']);
  });

  it('has few arrows that cross', () => {
    const columns = columnsOf(
      ['a', 'b', 'x', 'y'],
      [arrow('a', 'y'), arrow('b', 'x')]
    );
    const [left, right] = columns;
    assert.equal(left.indexOf('a'), right.indexOf('y'));
  });

  it('survives arrows in a circle and to nowhere', () => {
    const columns = columnsOf(
      ['a', 'b'],
      [arrow('a', 'b'), arrow('b', 'a'), arrow('a', 'gone')]
    );
    assert.equal(columns.flat().length, 2);
    assert.deepEqual(columnsOf([], []), []);
  });
});
