import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { axesOf, axisOf } from './parallel.js';

const item = (name: string, ...values: (string | null)[]) => ({
  kind: 'param',
  name,
  values
});

describe('an axis', () => {
  it('places numbers by their size', () => {
    const axis = axisOf(item('depth', '2', '4', '6'));
    assert.deepEqual(axis.places, [0, 0.5, 1]);
    assert.deepEqual(axis.marks.at(0), { at: 0, words: '2' });
    assert.deepEqual(axis.marks.at(-1), { at: 1, words: '6' });
  });

  it('places what is spread by factors by its logarithm', () => {
    const axis = axisOf(item('lr', '1e-4', '1e-3', '1e-2'));
    assert.equal(axis.bent, true);
    assert.ok(Math.abs((axis.places[1] ?? 0) - 0.5) < 1e-9);
  });

  it('places words beside each other', () => {
    const axis = axisOf(item('model', 'tree', 'forest', 'tree'));
    assert.deepEqual(axis.places, [1, 0, 1]);
    assert.deepEqual(
      axis.marks.map(mark => mark.words),
      ['forest', 'tree']
    );
  });

  it('leaves a run without a value out', () => {
    assert.deepEqual(axisOf(item('depth', '1', null, '3')).places, [
      0,
      null,
      1
    ]);
  });

  it('takes one odd word for a word, not for nothing', () => {
    const axis = axisOf(item('depth', '1', 'none'));
    assert.deepEqual(axis.places, [0, 1]);
  });
});

describe('the axes', () => {
  it('are parameters, then figures, without those of the machine', () => {
    const axes = axesOf([
      { kind: 'metric', name: 'auc', values: ['0.1', '0.2'] },
      { kind: 'metric', name: 'system/cpu', values: ['1', '2'] },
      { kind: 'origin', name: 'git', values: ['a', 'b'] },
      item('lr', '1', '2')
    ]);
    assert.deepEqual(
      axes.map(axis => axis.name),
      ['lr', 'auc']
    );
  });
});
