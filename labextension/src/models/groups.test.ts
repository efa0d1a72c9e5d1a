import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ModelView } from '../api/generated.js';
import { group, referenceOf, scoreText } from './groups.js';

const model = (name: string, version: number, ...aliases: string[]) =>
  ({ name, version, aliases }) as unknown as ModelView;

describe('model versions', () => {
  it('stand under their names, those in use in front', () => {
    const groups = group([
      model('a', 4),
      model('b', 1),
      model('a', 3),
      model('a', 2, 'champion'),
      model('a', 1)
    ]);
    assert.deepEqual(
      groups.map(({ name }) => name),
      ['a', 'b']
    );
    const versions = (list: readonly ModelView[]): number[] =>
      list.map(({ version }) => version);
    assert.deepEqual(versions(groups[0].standing), [4, 2]);
    assert.deepEqual(versions(groups[0].others), [3, 1]);
    assert.deepEqual(groups[1].others, []);
  });

  it('are named as commands take them', () => {
    assert.equal(referenceOf({ name: 'a', version: 3 }), 'a@3');
  });

  it('have a score with its interval, where they have one', () => {
    const evidence = { metric: 'accuracy', score: 0.96667, low: 0.9, high: 1 };
    assert.equal(scoreText(evidence), 'accuracy 0.9667 [0.9, 1]');
    assert.equal(scoreText({ score: 2 }), '2');
    assert.equal(scoreText({ score: 'good' }), '');
  });
});
