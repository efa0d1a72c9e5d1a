import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sample } from '../jobs/sample.js';
import { trans } from '../sections/sample.js';
import { detailOf, titleOf } from './words.js';

describe('a job among what runs', () => {
  it('says how it is and how far', () => {
    const job = sample({ id: '1', progress: 0.405 });
    assert.equal(detailOf(job, trans), '40 %');
    assert.equal(detailOf({ ...job, state: 'queued' }, trans), 'queued');
    assert.equal(detailOf({ ...job, service: true }, trans), 'running');
  });

  it('says what it is, waits for, and where it is from', () => {
    const job = sample({
      id: '1',
      name: 'train',
      state: 'queued',
      waiting_for: 'a whole GPU',
      notebook: 'a/b.ipynb'
    });
    assert.equal(
      titleOf(job, trans),
      'train\nautoml\nWaiting for a whole GPU\na/b.ipynb'
    );
  });
});
