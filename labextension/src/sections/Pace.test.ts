import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Pace } from './Pace.js';

function paced(context: TestContext) {
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 0 });
  const done: number[] = [];
  const pace = new Pace(() => done.push(Date.now()), 100);
  return { pace, done, pass: (ms: number) => context.mock.timers.tick(ms) };
}

describe('a pace', () => {
  it('does it at once, and once for all who ask within it', context => {
    const { pace, done, pass } = paced(context);
    pace.invoke();
    pace.invoke();
    pass(0);
    assert.deepEqual(done, [0]);
    pass(30);
    pace.invoke();
    pace.invoke();
    pass(69);
    assert.deepEqual(done, [0]);
    pass(1);
    assert.deepEqual(done, [0, 100]);
  });

  it('does it at once again after a rest', context => {
    const { pace, done, pass } = paced(context);
    pace.invoke();
    pass(0);
    pass(500);
    pace.invoke();
    pass(0);
    assert.deepEqual(done, [0, 500]);
  });

  it('does nothing once it is disposed of', context => {
    const { pace, done, pass } = paced(context);
    pace.invoke();
    pace.dispose();
    pace.invoke();
    pass(1000);
    assert.deepEqual(done, []);
    assert.equal(pace.isDisposed, true);
  });
});
