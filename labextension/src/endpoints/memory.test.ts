import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { heldBy, peakOf, remember } from './memory.js';
import { replica, served, shown } from './sample.js';

describe('the memory of an endpoint', () => {
  it("is its services' together", () => {
    const view = shown({
      until: '2026-11-22T12:00:00Z',
      targets: [
        served({ services: [replica({ memory: 100, peak_memory: 150 })] }),
        served({
          services: [
            replica({ memory: 20, peak_memory: null, gpu_memory: 7 }),
            replica({ memory: null, peak_memory: 30 })
          ]
        })
      ]
    });
    const at = Date.parse('2026-11-22T12:00:00Z');
    assert.deepEqual(heldBy(view), { at, memory: 120, gpu: 7 });
    assert.equal(peakOf(view), 180);
  });

  it('is not known where no service says', () => {
    const view = shown({ targets: [served({ services: [] })] });
    assert.equal(heldBy(view).memory, null);
    assert.equal(peakOf(view), null);
  });

  it('is remembered for as long as the figures go back, each moment once', () => {
    const held = (at: number) => ({ at, memory: at, gpu: null });
    let list = remember([], held(0), 100);
    list = remember(list, held(50), 100);
    list = remember(list, held(50), 100);
    list = remember(list, held(120), 100);
    assert.deepEqual(
      list.map(({ at }) => at),
      [50, 120]
    );
  });
});
