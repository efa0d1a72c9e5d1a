import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { RequestList } from '../api/generated.js';
import type { IClient } from '../tokens.js';
import { LiveQuery } from './LiveQuery.js';

const NONE: RequestList = { requests: [] };

/** A query whose questions are counted, on a clock that stands still. */
function watched(
  context: TestContext,
  answer: () => Promise<RequestList> = () => Promise.resolve(NONE)
) {
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 0 });
  const asked: unknown[] = [];
  const call = (_: string, params: unknown): Promise<RequestList> => {
    asked.push(params);
    return answer();
  };
  const client = { call } as unknown as IClient;
  const query = new LiveQuery(client, 'requests/list', { limit: 1 });
  const pass = async (ms: number): Promise<void> => {
    context.mock.timers.tick(ms);
    for (let turn = 0; turn < 10; turn += 1) {
      await Promise.resolve();
    }
  };
  return { query, asked, pass };
}

describe('a live query', () => {
  it('asks for nothing until somebody looks', async context => {
    const { query, asked, pass } = watched(context);
    query.refresh();
    await pass(60_000);
    assert.equal(asked.length, 0);
    query.awake = true;
    await pass(0);
    assert.equal(asked.length, 1);
    assert.equal(query.value, NONE);
  });

  it('asks once a second at most', async context => {
    const { query, asked, pass } = watched(context);
    query.awake = true;
    await pass(0);
    for (let turn = 0; turn < 20; turn += 1) {
      query.refresh();
      await pass(100);
    }
    assert.equal(asked.length, 3);
  });

  it('asks now and then without news', async context => {
    const { query, asked, pass } = watched(context);
    query.awake = true;
    await pass(0);
    await pass(9_999);
    assert.equal(asked.length, 1);
    await pass(1);
    assert.equal(asked.length, 2);
  });

  it('asks something else at once', async context => {
    const { query, asked, pass } = watched(context);
    query.awake = true;
    await pass(0);
    query.ask({ limit: 2 });
    await pass(0);
    assert.deepEqual(asked, [{ limit: 1 }, { limit: 2 }]);
  });

  it('keeps what it knows where the server does not answer', async context => {
    const answers = [
      () => Promise.resolve(NONE),
      () => Promise.reject(new Error('away')),
      () => Promise.resolve(NONE)
    ];
    const { query, pass } = watched(context, () => {
      const next = answers.shift();
      assert.ok(next);
      return next();
    });
    query.awake = true;
    await pass(0);
    query.refresh();
    await pass(1_000);
    assert.equal((query.problem as Error).message, 'away');
    assert.equal(query.value, NONE);
    await pass(3_000);
    assert.equal(query.problem, null);
  });

  it('leaves an answer out that was overtaken', async context => {
    const late: RequestList = { requests: [] };
    const sooner: RequestList = { requests: [] };
    let settle: (list: RequestList) => void = () => undefined;
    const { query, pass } = watched(
      context,
      () => new Promise(resolve => (settle = resolve))
    );
    query.awake = true;
    await pass(0);
    query.accept(sooner);
    settle(late);
    await pass(0);
    assert.equal(query.value, sooner);
  });

  it('looks once where it is asked to, though nobody watches', async context => {
    const { query, asked, pass } = watched(context);
    query.glance();
    await pass(0);
    await pass(60_000);
    assert.equal(asked.length, 1);
    query.glance();
    query.glance();
    await pass(60_000);
    assert.equal(asked.length, 2);
  });

  it('is silent once disposed of', async context => {
    const { query, asked, pass } = watched(context);
    query.awake = true;
    query.dispose();
    await pass(60_000);
    assert.equal(asked.length, 0);
  });
});
