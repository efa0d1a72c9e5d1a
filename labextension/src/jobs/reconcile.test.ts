import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JobView } from '../api/generated.js';
import {
  follow,
  LIMIT,
  merge,
  NOTHING,
  parseEvent,
  replace
} from './reconcile.js';
import { sample } from './sample.js';

function listed(revision: number, ...jobs: JobView[]): typeof NOTHING {
  const list = { jobs, total: jobs.length, revision, note: null };
  return replace(NOTHING, list, []);
}

const heard = (revision: number, since: number, ...jobs: JobView[]) => ({
  revision,
  since,
  jobs
});

describe('following events', () => {
  it('takes the views of the next event over the ones known', () => {
    const before = listed(4, sample({ id: 'A' }));
    const ended = sample({ id: 'A', state: 'succeeded' });
    const { snapshot, missed } = follow(before, heard(5, 4, ended));
    assert.equal(missed, false);
    assert.equal(snapshot.jobs.get('A')?.state, 'succeeded');
    assert.equal(snapshot.revision, 5);
  });

  it('changes nothing on a heartbeat', () => {
    const before = listed(4, sample({ id: 'A' }));
    const { snapshot, missed } = follow(before, heard(4, 4));
    assert.equal(missed, false);
    assert.equal(snapshot.jobs, before.jobs);
  });

  it('asks for a list where an event is lacking', () => {
    assert.equal(follow(listed(4), heard(9, 7)).missed, true);
  });

  it('asks for a list where the server counts anew', () => {
    const before = follow(listed(4), heard(5, 4)).snapshot;
    assert.equal(follow(before, heard(1, 0)).missed, true);
  });

  it('merges an event that overlaps the list', () => {
    const before = listed(5, sample({ id: 'A' }));
    const { snapshot, missed } = follow(
      before,
      heard(6, 3, sample({ id: 'B' }))
    );
    assert.equal(missed, false);
    assert.deepEqual([...snapshot.jobs.keys()], ['A', 'B']);
  });

  it('leaves newer views alone when an old event comes late', () => {
    const before = listed(8, sample({ id: 'A', state: 'succeeded' }));
    const { snapshot, missed } = follow(
      before,
      heard(6, 3, sample({ id: 'A' }))
    );
    assert.equal(missed, false);
    assert.equal(snapshot.jobs.get('A')?.state, 'succeeded');
    assert.equal(follow(snapshot, heard(9, 6)).missed, false);
  });
});

describe('taking a list', () => {
  it('replays what was heard while the list was on its way', () => {
    const list = {
      jobs: [sample({ id: 'A' })],
      total: 1,
      revision: 5,
      note: null
    };
    const late = heard(6, 5, sample({ id: 'A', state: 'failed' }));
    const stale = heard(5, 4, sample({ id: 'A', state: 'queued' }));
    const after = replace(NOTHING, list, [stale, late]);
    assert.equal(after.jobs.get('A')?.state, 'failed');
    assert.equal(after.revision, 6);
  });

  it('forgets jobs the list no longer holds', () => {
    const list = { jobs: [], total: 0, revision: 1, note: 'quiet' };
    const after = replace(listed(9, sample({ id: 'A' })), list, []);
    assert.equal(after.jobs.size, 0);
    assert.equal(after.note, 'quiet');
  });
});

describe('merging', () => {
  it('lets the oldest ended jobs make room, never a live one', () => {
    const jobs = Array.from({ length: LIMIT }, (_, i) =>
      sample({
        id: String(i).padStart(4, '0'),
        state: i === 0 ? 'running' : 'succeeded'
      })
    );
    const after = merge(listed(1, ...jobs), [sample({ id: '9999' })]);
    assert.equal(after.jobs.size, LIMIT);
    assert.equal(after.total, LIMIT + 1);
    assert.ok(after.jobs.has('0000') && !after.jobs.has('0001'));
  });
});

describe('reading an event', () => {
  it('refuses what is not one', () => {
    for (const payload of [null, 3, {}, { revision: 1, since: 0, jobs: {} }]) {
      assert.equal(parseEvent(payload), null);
    }
  });
});
