import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byId, sample as job } from '../jobs/sample.js';
import { trans } from '../sections/sample.js';
import { holderKey, warning, wayToFree } from './free.js';
import { holder } from './sample.js';

const sessions = [
  { id: 's0', path: 'a.ipynb', type: 'notebook', kernel: null },
  { id: 's1', path: 'b.ipynb', type: 'notebook', kernel: { id: 'k1' } }
];
const jobs = byId(job({ id: 'j1' }), job({ id: 'j2', state: 'failed' }));

describe('a holder', () => {
  it('is the same one from one look to the next', () => {
    assert.equal(holderKey(holder({ job: 'j1', leased: 5 })), 'job:j1');
    // Two processes of one job, neither of which it was admitted for.
    assert.equal(holderKey(holder({ job: 'j1' })), 'process:100');
  });
});

describe('memory comes back', () => {
  const way = (changes: Parameters<typeof holder>[0]) =>
    wayToFree(holder(changes), jobs, sessions);

  it('of a job by its end', () => {
    assert.deepEqual(way({ job: 'j1', leased: 5, pid: null }), {
      by: 'job',
      job: 'j1'
    });
    assert.deepEqual(way({ job: 'unlisted', leased: 5 }), {
      by: 'job',
      job: 'unlisted'
    });
  });

  it('of a kernel of this server by its session, of another one by its process', () => {
    assert.deepEqual(way({ kind: 'kernel', kernel: 'k1' }), {
      by: 'session',
      session: 's1'
    });
    assert.deepEqual(way({ kind: 'kernel', kernel: 'k2' }), {
      by: 'process',
      process: 100
    });
  });

  it('of what a job left by its process', () => {
    const left = { job: 'j2', leased: 5, dirty: true };
    assert.deepEqual(way(left), { by: 'process', process: 100 });
    assert.equal(way({ ...left, pid: null }), null);
    assert.deepEqual(way({ job: 'of another workspace' }), {
      by: 'process',
      process: 100
    });
  });
});

describe('the warning', () => {
  const body = (changes: Parameters<typeof holder>[0]): string => {
    const who = holder(changes);
    const way = wayToFree(who, jobs, sessions);
    assert.ok(way !== null);
    return warning(who, way, trans).body;
  };

  it('says what will happen, and to whom', () => {
    assert.equal(
      body({ job: 'j1', leased: 5, used: 5000 }),
      'train holds 5,000 MiB. The job is cancelled; what it has not saved is lost.'
    );
    assert.match(body({ job: 'j1', kind: 'endpoint', leased: 5 }), /no longer/);
    assert.match(body({ kind: 'kernel', kernel: 'k1' }), /is shut down\./);
    assert.match(body({ kind: 'kernel', kernel: 'k2' }), /another Jupyter/);
    assert.match(body({ kind: 'process' }), /neither a job nor a notebook/);
    assert.match(
      body({ job: 'j2', dirty: true, leased: 5 }),
      /^train is on this GPU\. Its job has ended; process 100/
    );
  });
});
