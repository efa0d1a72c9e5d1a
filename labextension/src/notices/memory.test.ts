import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Memory } from './memory.js';

function shelf(saved: string | null = null) {
  return {
    saved,
    getItem() {
      return this.saved;
    },
    setItem(_: string, value: string) {
      this.saved = value;
    }
  };
}

describe('what was seen alive', () => {
  it('is remembered until somebody has told of it', () => {
    const shared = shelf();
    const [here, there] = [new Memory(shared, 'k'), new Memory(shared, 'k')];
    here.add(['1', '2']);
    there.add(['2', '3']);
    assert.deepEqual([...here.all()], ['1', '2', '3']);
    assert.deepEqual(here.take(['2', '9']), ['2']);
    assert.deepEqual(there.take(['2', '3']), ['3']);
  });

  it('is nothing where the storage holds something else, or refuses', () => {
    for (const saved of ['{', '5', '{"a": 1}', '[1, null]']) {
      assert.deepEqual([...new Memory(shelf(saved), 'k').all()], []);
    }
    const full = {
      getItem: () => null,
      setItem: () => {
        throw new Error('full');
      }
    };
    assert.doesNotThrow(() => new Memory(full, 'k').add(['1']));
  });
});
